"""A connection to the code in an interpreter: messages both ways, and functions of the client's that it may call."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, TypeVar

from . import methods, values
from .caller import Caller, Handle, duration
from .errors import CloisterError, Disconnected, ServiceError
from .host_calls import HostCalls
from .io import Duplex, Io, blocking, drive
from .v1 import interpreter_service_pb2 as interpreter_pb
from .v1 import message_service_pb2 as pb

F = TypeVar("F", bound=Callable[..., Any])

# Bytes of messages that nobody has received yet; beyond that the stream is not read, and `cloister.post` waits.
_UNREAD_BYTES = 4 << 20
# For what was posted to leave, at the end of a `with` block.
_FLUSH_SECONDS = 5.0
# Of each, beside its content.
_MESSAGE_BYTES = 1 << 10
# Of the credit, beside the message's own bytes.
_POST_BYTES = 128
# Ends the queue of messages.
_END: Any = object()


class _Link:
    """What an open connection and its reader share. The reader knows nothing else, so that a connection which its user
    drops is collected, and closed by that."""

    def __init__(self, stream: Duplex[Any], io: Io, calls: HostCalls) -> None:
        self.stream = stream
        self.opened = io.queue()
        self.messages = io.queue()
        self.credit = io.credit()
        self.calls = calls
        self.end: BaseException | None = None

    async def read_all(self) -> None:
        error: BaseException = Disconnected("the connection was closed")
        try:
            while (response := await self.stream.read()) is not None:
                await self._take(response)
        except ServiceError as end:
            error = end
        finally:
            self.end = self.end or error
            self.calls.end()
            self.credit.close()
            self.opened.put(self.end)
            self.messages.put(_END)

    async def _take(self, response: pb.ConnectResponse) -> None:
        kind = response.WhichOneof("response")
        if kind == "opened":
            if response.opened.post_credit_bytes > 0:
                self.credit.give(response.opened.post_credit_bytes)
            else:
                self.credit.close()  # a server that gives none
            self.opened.put(None)
        elif kind == "post_credit":
            self.credit.give(response.post_credit.bytes)
        elif kind == "message":
            self.messages.put(response.message, response.message.ByteSize() + _MESSAGE_BYTES)
            await self.messages.wait_for_room(_UNREAD_BYTES)
        elif kind == "host_call":
            self.calls.begin(response.host_call, self.stream)
        elif kind == "host_call_cancelled":
            self.calls.give_up(response.host_call_cancelled.number)

    def close(self) -> None:
        self.end = self.end or Disconnected("the connection was closed")
        self.stream.cancel()
        self.messages.close()
        self.credit.close()


class ConnectionBase(Handle):
    """One client at a time can be connected to an interpreter. Of a sandbox's own name, that is `main`.

    Calls of the functions run beside one another, each in a thread (a task, where the function is a coroutine function
    of an `AsyncConnection`). What a function raises is raised at the caller: builtin exceptions as they are, others as
    `cloister.RemoteError`; never with the client's frames. Arguments are typed values, made by hostile code: check them.

    4 MiB of messages wait here until they are received; then the server's turn to hold them comes, calls included.

    Thread-safe once it is open; each message goes to whoever asks first. A connection that is dropped is closed.
    """

    def __init__(
        self,
        caller: Caller,
        interpreter: str,
        functions: Iterable[Callable[..., Any]] = (),
        *,
        maximum_calls: int = 16,
        call_timeout: float | None = None,
    ) -> None:
        """
        Args:
            functions: to offer, each under its own name.
            maximum_calls: at a time, 1 to 64; more wait.
            call_timeout: seconds that one call may take; None: the server's default, 60.
        """
        if not 1 <= maximum_calls <= 64:
            raise ValueError("maximum_calls: 1 to 64")
        self._caller = caller
        self._interpreter = interpreter
        self._functions: Dict[str, Callable[..., Any]] = {}
        self._maximum_calls = maximum_calls
        self._call_timeout = call_timeout
        self._link: _Link | None = None
        for function in functions:
            self.function(function)

    def function(self, function: F) -> F:
        """Offers a function under its own name, as `cloister.host.NAME`; a decorator. Before the connection is opened."""
        return self.offer(function.__name__, function)

    def offer(self, name: str, function: F) -> F:
        """Offers a function under a name of your choice, an identifier of at most 64 bytes."""
        if self._link is not None:
            raise CloisterError("functions are offered before the connection is opened")
        if not name.isidentifier():
            raise ValueError(f"{name!r} is no identifier: offer() it under another name")
        self._functions[name] = function
        return function

    def cancel(self) -> None:
        """Ends the connection. Functions that run in threads go on, and their results are dropped. Never blocks."""
        if self._link is not None:
            self._link.close()

    def __del__(self) -> None:
        link = getattr(self, "_link", None)
        if link is not None:
            try:
                link.stream.cancel()
            except Exception:  # at the end of the process
                pass

    def _opened(self) -> _Link:
        if self._link is None:
            raise CloisterError("the connection is not open; use it in a `with` block, or call open()")
        return self._link


class ConnectionOperations(ConnectionBase):
    async def open(self) -> None:
        """Connects. Raises AlreadyExists (ALREADY_CONNECTED), NotFound, Lost. A closed one can be opened again."""
        if self._link is not None and self._link.end is None:
            raise CloisterError("the connection is open already")
        io = self._caller.io
        opening = pb.OpenConnection(interpreter=self._interpreter, host_functions=sorted(self._functions),
                                    maximum_host_calls=self._maximum_calls)
        if self._call_timeout is not None:
            duration(self._call_timeout, opening.host_call_timeout)
        # No deadline: it lasts as long as both want.
        stream = io.duplex(methods.CONNECT, None)
        calls = HostCalls(self._caller, self._functions, self._maximum_calls)
        self._link = link = _Link(stream, io, calls)
        await stream.write(pb.ConnectRequest(open=opening))
        io.spawn("cloister connection", link.read_all())
        try:
            error = await link.opened.get(self._caller.timeout)
        except BaseException:
            link.close()
            raise
        if error is not None:
            raise error

    async def post(self, value: Any, *, timeout: float | None = None) -> None:
        """Sends a message to `cloister.inbox`; waits while the inbox is full and as much waits in the server as may.

        Answers to calls never wait behind messages. What was sent shortly before the connection ends may not have
        reached the inbox.

        Args:
            timeout: seconds to wait; None: as long as the connection lasts.

        Raises:
            TimeoutError: nothing was sent.
            Disconnected: the connection has ended.
        """
        message = values.encode(value)
        link = self._opened()
        await link.credit.take(message.ByteSize() + _POST_BYTES, timeout)
        if link.end is not None:
            raise Disconnected("the connection has ended") from link.end
        await link.stream.write(pb.ConnectRequest(post=message))

    async def receive(self, timeout: float | None = None) -> Any:
        """The next message that `cloister.post` sent.

        Args:
            timeout: seconds; None: as long as the connection lasts.

        Raises:
            TimeoutError: none came in time.
            Disconnected: the connection has ended and all messages were received; its cause is the reason.
            CloneError: the message cannot be made here; the next one can be received.
        """
        link = self._opened()
        item = await link.messages.get(timeout)
        if item is _END:
            link.messages.put(_END)  # for the next one who asks
            raise Disconnected("the connection has ended") from link.end
        return values.decode(item, self._caller.classes)


class AsyncConnection(ConnectionOperations):
    """See `ConnectionBase`. `async with` opens and closes it, `async for` receives messages."""

    async def __aenter__(self) -> AsyncConnection:
        await self.open()
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        self.cancel()

    def __aiter__(self) -> AsyncConnection:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self.receive()
        except Disconnected as end:
            raise _end_of_messages(end, StopAsyncIteration()) from None


async def _flush(connection: ConnectionBase, link: _Link) -> None:
    """Waits until what was posted has left this machine: a call on the same connection goes behind it."""
    link.stream.drain(_FLUSH_SECONDS)  # type: ignore[attr-defined]
    name = connection._interpreter
    request = interpreter_pb.GetInterpreterRequest(name=name if "/interpreters/" in name else f"{name}/interpreters/main")
    try:
        await connection._caller.io.unary(methods.GET_INTERPRETER, request, _FLUSH_SECONDS)
    except ServiceError:
        pass  # it is gone, and what was posted with it


class Connection(ConnectionBase):
    """See `ConnectionBase`. `with` opens and closes it, `for` receives messages."""

    open = blocking(ConnectionOperations.open)
    post = blocking(ConnectionOperations.post)
    receive = blocking(ConnectionOperations.receive)

    def __enter__(self) -> Connection:
        self.open()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        if exc_info[1] is None and self._link is not None and self._link.end is None:
            drive(_flush(self, self._link))
        self.cancel()

    def __iter__(self) -> Connection:
        return self

    def __next__(self) -> Any:
        try:
            return self.receive()
        except Disconnected as end:
            raise _end_of_messages(end, StopIteration()) from None


def _end_of_messages(end: Disconnected, stop: Exception) -> BaseException:
    """An iteration ends where the connection was closed or its interpreter deleted; any other end is an error."""
    cause = end.__cause__
    if isinstance(cause, ServiceError) and cause.code != "CANCELLED" and \
            cause.reason not in ("SANDBOX_NOT_FOUND", "INTERPRETER_NOT_FOUND"):
        return cause
    return stop
