"""Runs untrusted Python in sandboxed interpreters: the client of a Cloister server.

    import cloister

    with cloister.Client() as client:
        print(client.run("6 * 7").value)                  # in a sandbox nobody used before
        with client.sandbox() as sandbox:                 # in one that stays
            sandbox.run("x = 41")
            print(sandbox.run("x + 1").value)

`Client` blocks, `AsyncClient` is awaited; both have the same methods. `Executor` is a `concurrent.futures.Executor` whose
functions run in sandboxes. What can go wrong is in `cloister.errors`.
"""

from __future__ import annotations

from .client import AsyncClient, Client
from .connection import AsyncConnection, Connection
from .errors import (AlreadyExists, Cancelled, CloisterError, DeadlineExceeded, Died, Disconnected, Exited, FieldProblem,
                     InternalError, Interrupted, InvalidRequest, LimitExceeded, Lost, NotFound, OutcomeError, Raised,
                     Refused, ResourceExhausted, ServiceError, Unauthenticated, Unavailable)
from .events import (ClearOutput, Display, Event, Finished, InputRequested, LateOutput, Output, Started)
from .execution import AsyncExecution, Execution, Prompt
from .executor import Executor
from .files import FileInfo, FileKind
from .function import AsyncFunction, Function
from .infos import (Completeness, Completion, Inspection, InterpreterInfo, LayerInfo, Loss, Profile, SandboxInfo,
                    ServerInfo, SnapshotInfo, State, TemplateInfo)
from .interpreter import AsyncInterpreter, Interpreter
from .mapping import AsyncMap, Input, Map, Verdict
from .outcome import ExceptionInfo, Frame, Outcome, OutcomeKind, StageTimes, Usage
from .program import Limits
from .result import MimeBundle, Result, ReturnedFile
from .sandbox import AsyncSandbox, AsyncSnapshot, Sandbox, Snapshot
from .source import NotPortable
from .values import CloneError, EnumRecord, Name, RawArray, Record, RegisteredRecord, RemoteError, TupleRecord

__version__ = "0.1.0"

__all__ = [
    "AlreadyExists", "AsyncClient", "AsyncConnection", "AsyncExecution", "AsyncFunction", "AsyncInterpreter",
    "AsyncMap", "AsyncSandbox", "AsyncSnapshot", "Cancelled", "ClearOutput", "Client", "CloisterError", "CloneError",
    "Completeness", "Completion", "Connection", "DeadlineExceeded", "Died", "Disconnected", "Display", "EnumRecord",
    "Event", "ExceptionInfo", "Execution", "Executor", "Exited", "FieldProblem", "FileInfo", "FileKind", "Finished",
    "Frame", "Function", "Input", "InputRequested", "Inspection", "InternalError", "Interpreter", "InterpreterInfo",
    "Interrupted", "InvalidRequest", "LateOutput", "LayerInfo", "LimitExceeded", "Limits", "Loss", "Lost", "Map",
    "MimeBundle", "Name", "NotFound", "NotPortable", "Outcome", "OutcomeError", "OutcomeKind", "Output", "Profile",
    "Prompt", "Raised", "RawArray", "Record", "Refused", "RegisteredRecord", "RemoteError", "ResourceExhausted",
    "Result", "ReturnedFile", "Sandbox", "SandboxInfo", "ServerInfo", "ServiceError", "Snapshot", "SnapshotInfo",
    "StageTimes", "Started", "State", "TemplateInfo", "TupleRecord", "Unauthenticated", "Unavailable", "Usage",
    "Verdict",
]
