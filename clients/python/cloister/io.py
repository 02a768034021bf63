"""How calls are made and waited for: the one thing in which `Client` and `AsyncClient` differ.

All else is written once, as coroutines that await nothing but an `Io`. `AsyncioIo` waits with asyncio. `BlockingIo` blocks
its thread in each of these functions and never suspends the coroutine, so that `blocking()` can run a coroutine to its
end with a single `send(None)`, like a plain function.
"""

from __future__ import annotations

import functools
from typing import Any, Callable, Concatenate, Coroutine, ParamSpec, Protocol, TypeVar

from .methods import Method, Request, Response

# Name of tasks that close() waits for.
CLEAN_UP = "cloister clean up"
CLEAN_UP_SECONDS = 5.0

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
P = ParamSpec("P")


class Stream(Protocol[T_co]):
    """What a server streams."""

    async def read(self) -> T_co | None:
        """The next message; None at the stream's end. Raises ServiceError."""

    def cancel(self) -> None:
        """Ends the call; what runs for it in the server is interrupted. Never blocks; may be repeated."""


class Duplex(Stream[T_co], Protocol[T_co]):
    """A stream each way."""

    async def write(self, message: Any) -> None:
        """Sends a message; waits while too many are on their way. Does nothing once the call has ended."""

    async def done_writing(self) -> None:
        """No message follows."""


class Task(Protocol):
    """Something that runs beside."""

    def cancel(self) -> None:
        """Asks it to end, where that can be asked for."""


class Queue(Protocol):
    """From one task or thread to another."""

    async def get(self, timeout: float | None) -> Any:
        """The next item. Raises TimeoutError."""

    def put(self, item: Any, weight: int = 0) -> None:
        """Never waits."""

    async def wait_for_room(self, bound: int) -> None:
        """Until what is in it weighs less, or it is closed."""

    def close(self) -> None:
        """Nobody will get anything any more; who waits for room goes on."""


class Credit(Protocol):
    """How much may be sent."""

    async def take(self, amount: int, timeout: float | None) -> None:
        """Waits until there is some, and takes `amount`, which may be more. Raises TimeoutError."""

    def give(self, amount: int) -> None:
        """Never waits."""

    def close(self) -> None:
        """There is no bound any more; who waits goes on."""


class Io(Protocol):
    async def unary(self, method: Method[Request, Response], request: Request, timeout: float | None) -> Response:
        """One request, one response. Raises ServiceError."""

    def stream(self, method: Method[Request, Response], request: Request, timeout: float | None) -> Stream[Response]: ...

    def duplex(self, method: Method[Request, Response], timeout: float | None) -> Duplex[Response]: ...

    async def sleep(self, seconds: float) -> None: ...

    def queue(self) -> Queue: ...

    def credit(self) -> Credit: ...

    def spawn(self, name: str, coroutine: Coroutine[Any, Any, None]) -> Task: ...

    async def run_user(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Calls a function of the user's, which may be a coroutine function where that can be awaited."""

    async def close(self) -> None: ...


def blocking(method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]) -> Callable[Concatenate[Any, P], T]:
    """The plain method for a coroutine method of an object whose Io is a `BlockingIo`."""

    @functools.wraps(method)
    def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return drive(method(self, *args, **kwargs))

    return call


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    coroutine.close()
    raise RuntimeError("a call of a blocking client was about to wait for an event loop; this is a bug in cloister")
