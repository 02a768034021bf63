"""Interpreters of live sandboxes: what can be done in `main` (`Sandbox`) as in any other (`Interpreter`)."""

from __future__ import annotations

from typing import Any, Callable, List

from . import methods, values
from .caller import Caller
from .connection import AsyncConnection, Connection
from .infos import Completeness, Completion, Inspection, InterpreterInfo, interpreter_info
from .io import blocking
from .runner import AsyncRunner, RunBase, RunOperations, Runner
from .v1 import interpreter_service_pb2 as pb
from .v1 import message_service_pb2 as message_pb
from .v1 import notebook_pb2


class InterpreterBase(RunBase):
    """Attributes: name: `sandboxes/...` or `sandboxes/.../interpreters/...`; whoever has it may use it."""

    def __init__(self, caller: Caller, name: str) -> None:
        self._caller = caller
        self.name = name
        self._target = name

    def __repr__(self) -> str:
        return f"<cloister.{type(self).__name__} {self.name}>"


class InterpreterOperations(InterpreterBase, RunOperations):
    async def post(self, value: Any, *, timeout: float | None = None) -> None:
        """Puts a message into the inbox: `cloister.inbox` of its code finds it, whether or not code runs there now.

        Waits while 16 MiB wait there already, as long as the retries last; then ResourceExhausted (INBOX_FULL).
        Messages of one caller arrive in the order in which the calls returned. Never sent twice: where the connection
        breaks, Unavailable says that nobody knows whether it arrived.
        """
        request = message_pb.PostMessageRequest(interpreter=self.name, value=values.encode(value))
        await self._caller.unary(methods.POST_MESSAGE, request, timeout=timeout)

    async def complete(self, code: str, cursor: int | None = None) -> List[Completion]:
        """What could stand at the cursor, best first; behind the executions that wait.

        Args:
            cursor: in characters of `code`; None: its end.
        """
        request = notebook_pb2.CompleteRequest(
            interpreter=self.name, code=code, cursor=len(code) if cursor is None else cursor)
        found = await self._caller.unary(methods.COMPLETE, request, repeatable=True)
        return [Completion(each.text, _lower(notebook_pb2.Completion.Kind, each.kind), found.start, found.end)
                for each in found.completions]

    async def inspect(self, code: str, cursor: int | None = None, *, with_source: bool = False) -> Inspection:
        """What is known of the name at the cursor; behind the executions that wait."""
        request = notebook_pb2.InspectRequest(
            interpreter=self.name, code=code, cursor=len(code) if cursor is None else cursor, with_source=with_source)
        m = await self._caller.unary(methods.INSPECT, request, repeatable=True)
        return Inspection(m.is_found, m.name, m.type_name, m.signature, m.documentation, m.source, m.file, m.line, m.value)

    async def check_complete(self, code: str) -> Completeness:
        """Whether code is whole, could go on in a further line, or is wrong."""
        request = notebook_pb2.CheckCompleteRequest(interpreter=self.name, code=code)
        m = await self._caller.unary(methods.CHECK_COMPLETE, request, repeatable=True)
        return Completeness(_lower(notebook_pb2.CheckCompleteResponse.Status, m.status), m.indent)


def _lower(kind: Any, number: int) -> str:
    """"KIND_PARAMETER" is "parameter"."""
    try:
        return str(kind.Name(number)).partition("_")[2].lower()
    except ValueError:
        return ""


class InterpreterLife(InterpreterOperations):
    """A further interpreter's own life."""

    async def info(self) -> InterpreterInfo:
        """It as it is now; never waits."""
        request = pb.GetInterpreterRequest(name=self.name)
        return interpreter_info((await self._caller.unary(methods.GET_INTERPRETER, request, repeatable=True)).interpreter)

    async def restart(self) -> InterpreterInfo:
        """Ends its variables and gives it a new start under the same name."""
        request = pb.RestartInterpreterRequest(name=self.name)
        return interpreter_info((await self._caller.unary(methods.RESTART_INTERPRETER, request)).interpreter)

    async def delete(self) -> List[str]:
        """Ends it.

        Returns:
            Names of further interpreters that were lost because this one did not end; usually none.
        """
        request = pb.DeleteInterpreterRequest(name=self.name)
        return list((await self._caller.unary(methods.DELETE_INTERPRETER, request)).lost_interpreters)


class AsyncInterpreter(InterpreterLife, AsyncRunner):
    """A further interpreter of a sandbox; `async with` deletes it at the end. As `Interpreter`, with coroutines."""

    def connect(self, *functions: Callable[..., Any], **options: Any) -> AsyncConnection:
        """See `Sandbox.connect()`."""
        return AsyncConnection(self._caller, self.name, functions, **options)

    async def __aenter__(self) -> AsyncInterpreter:
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        await self.delete()


class InterpreterRunner(InterpreterBase, Runner):
    post = blocking(InterpreterOperations.post)
    complete = blocking(InterpreterOperations.complete)
    inspect = blocking(InterpreterOperations.inspect)
    check_complete = blocking(InterpreterOperations.check_complete)

    def connect(self, *functions: Callable[..., Any], **options: Any) -> Connection:
        """A connection to its code: messages both ways, and functions of this client that it may call.

            with sandbox.connect(price) as connection:      # cloister.host.price(...) inside
                for message in connection: ...              # what cloister.post(...) sends

        Args and rules: see `Connection`.
        """
        return Connection(self._caller, self.name, functions, **options)


class Interpreter(InterpreterRunner):
    """A further interpreter of a sandbox, with variables and a queue of its own; `with` deletes it at the end.

    Thread-safe.
    """

    info = blocking(InterpreterLife.info)
    restart = blocking(InterpreterLife.restart)
    delete = blocking(InterpreterLife.delete)

    def __enter__(self) -> Interpreter:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self.delete()
