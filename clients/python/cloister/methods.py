"""The calls of the API: their paths, and the messages they take and give."""

from __future__ import annotations

from typing import Any, Generic, Type, TypeVar

from .v1 import execution_service_pb2 as execution
from .v1 import file_service_pb2 as file
from .v1 import info_service_pb2 as info
from .v1 import interpreter_service_pb2 as interpreter
from .v1 import message_service_pb2 as message
from .v1 import notebook_pb2 as notebook
from .v1 import sandbox_service_pb2 as sandbox

Request = TypeVar("Request")
Response = TypeVar("Response")


class Method(Generic[Request, Response]):
    """One call. Compared and hashed by identity: there is one object for each."""

    __slots__ = ("path", "name", "request", "response")

    def __init__(self, service: str, name: str, request: Type[Request], response: Type[Response]) -> None:
        self.path = f"/cloister.v1.{service}/{name}"
        self.name = name
        self.request: Any = request
        self.response: Any = response


_EXECUTION = "ExecutionService"
RUN_CODE = Method(_EXECUTION, "RunCode", execution.RunCodeRequest, execution.RunCodeResponse)
EXECUTE = Method(_EXECUTION, "Execute", execution.ExecuteRequest, execution.ExecuteResponse)
ATTACH_EXECUTION = Method(
    _EXECUTION, "AttachExecution", execution.AttachExecutionRequest, execution.AttachExecutionResponse)
INTERRUPT_EXECUTION = Method(
    _EXECUTION, "InterruptExecution", execution.InterruptExecutionRequest, execution.InterruptExecutionResponse)
CALL_FUNCTION = Method(_EXECUTION, "CallFunction", execution.CallFunctionRequest, execution.CallFunctionResponse)
MAP_CODE = Method(_EXECUTION, "MapCode", execution.MapCodeRequest, execution.MapCodeResponse)
SEND_INPUT = Method(_EXECUTION, "SendInput", execution.SendInputRequest, execution.SendInputResponse)

_SANDBOX = "SandboxService"
CREATE_SANDBOX = Method(_SANDBOX, "CreateSandbox", sandbox.CreateSandboxRequest, sandbox.CreateSandboxResponse)
GET_SANDBOX = Method(_SANDBOX, "GetSandbox", sandbox.GetSandboxRequest, sandbox.GetSandboxResponse)
LIST_SANDBOXES = Method(_SANDBOX, "ListSandboxes", sandbox.ListSandboxesRequest, sandbox.ListSandboxesResponse)
UPDATE_SANDBOX = Method(_SANDBOX, "UpdateSandbox", sandbox.UpdateSandboxRequest, sandbox.UpdateSandboxResponse)
DELETE_SANDBOX = Method(_SANDBOX, "DeleteSandbox", sandbox.DeleteSandboxRequest, sandbox.DeleteSandboxResponse)
RESTART_SANDBOX = Method(_SANDBOX, "RestartSandbox", sandbox.RestartSandboxRequest, sandbox.RestartSandboxResponse)
FORK_SANDBOX = Method(_SANDBOX, "ForkSandbox", sandbox.ForkSandboxRequest, sandbox.ForkSandboxResponse)
CREATE_SNAPSHOT = Method(_SANDBOX, "CreateSnapshot", sandbox.CreateSnapshotRequest, sandbox.CreateSnapshotResponse)
GET_SNAPSHOT = Method(_SANDBOX, "GetSnapshot", sandbox.GetSnapshotRequest, sandbox.GetSnapshotResponse)
LIST_SNAPSHOTS = Method(_SANDBOX, "ListSnapshots", sandbox.ListSnapshotsRequest, sandbox.ListSnapshotsResponse)
DELETE_SNAPSHOT = Method(_SANDBOX, "DeleteSnapshot", sandbox.DeleteSnapshotRequest, sandbox.DeleteSnapshotResponse)

_INTERPRETER = "InterpreterService"
CREATE_INTERPRETER = Method(
    _INTERPRETER, "CreateInterpreter", interpreter.CreateInterpreterRequest, interpreter.CreateInterpreterResponse)
GET_INTERPRETER = Method(
    _INTERPRETER, "GetInterpreter", interpreter.GetInterpreterRequest, interpreter.GetInterpreterResponse)
LIST_INTERPRETERS = Method(
    _INTERPRETER, "ListInterpreters", interpreter.ListInterpretersRequest, interpreter.ListInterpretersResponse)
RESTART_INTERPRETER = Method(
    _INTERPRETER, "RestartInterpreter", interpreter.RestartInterpreterRequest, interpreter.RestartInterpreterResponse)
DELETE_INTERPRETER = Method(
    _INTERPRETER, "DeleteInterpreter", interpreter.DeleteInterpreterRequest, interpreter.DeleteInterpreterResponse)
COMPLETE = Method(_INTERPRETER, "Complete", notebook.CompleteRequest, notebook.CompleteResponse)
INSPECT = Method(_INTERPRETER, "Inspect", notebook.InspectRequest, notebook.InspectResponse)
CHECK_COMPLETE = Method(
    _INTERPRETER, "CheckComplete", notebook.CheckCompleteRequest, notebook.CheckCompleteResponse)

_MESSAGE = "MessageService"
POST_MESSAGE = Method(_MESSAGE, "PostMessage", message.PostMessageRequest, message.PostMessageResponse)
CONNECT = Method(_MESSAGE, "Connect", message.ConnectRequest, message.ConnectResponse)

_FILE = "FileService"
WRITE_FILE = Method(_FILE, "WriteFile", file.WriteFileRequest, file.WriteFileResponse)
READ_FILE = Method(_FILE, "ReadFile", file.ReadFileRequest, file.ReadFileResponse)
STAT_FILE = Method(_FILE, "StatFile", file.StatFileRequest, file.StatFileResponse)
LIST_FILES = Method(_FILE, "ListFiles", file.ListFilesRequest, file.ListFilesResponse)
REMOVE_FILE = Method(_FILE, "RemoveFile", file.RemoveFileRequest, file.RemoveFileResponse)
MAKE_DIRECTORY = Method(_FILE, "MakeDirectory", file.MakeDirectoryRequest, file.MakeDirectoryResponse)

GET_INFO = Method("InfoService", "GetInfo", info.GetInfoRequest, info.GetInfoResponse)
