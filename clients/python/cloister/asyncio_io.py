"""Calls that are awaited on an asyncio event loop. Of one loop: that in which the first call was made."""

from __future__ import annotations

import asyncio
import inspect
import os
from typing import Any, Callable, Coroutine, Dict, Generic, Set, Tuple

import grpc
import grpc.aio

from .channel import channel_options
from .errors import CloisterError
from .io import CLEAN_UP, CLEAN_UP_SECONDS
from .methods import Method, Request, Response
from .status import error_of


class AsyncioIo:
    def __init__(self, address: str, credentials: Any, message_bytes: int, metadata: Any) -> None:
        self.address = address
        self._credentials = credentials
        self._metadata = metadata
        self._options = channel_options(message_bytes)
        self._open: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = os.getpid()
        self._is_closed = False
        self._calls: Dict[Method[Any, Any], Any] = {}
        # asyncio itself holds its tasks weakly.
        self._tasks: Set[asyncio.Task[None]] = set()

    @property
    def _channel(self) -> Any:
        if self._is_closed:
            raise CloisterError("the client is closed")
        loop = asyncio.get_running_loop()
        if self._loop is not None and self._loop is not loop:
            raise CloisterError("this AsyncClient is of another event loop; make one in each")
        if self._process != os.getpid():
            raise CloisterError("this AsyncClient was made before a fork, which gRPC's connections do not survive; "
                                "make one in each process")
        self._loop = loop
        if self._open is None:  # made here, because gRPC wants a running loop
            if self._credentials is None:
                self._open = grpc.aio.insecure_channel(self.address, options=self._options)
            else:
                self._open = grpc.aio.secure_channel(self.address, self._credentials, options=self._options)
        return self._open

    async def unary(self, method: Method[Request, Response], request: Request, timeout: float | None) -> Response:
        channel = self._channel
        call = self._calls.get(method)
        if call is None:
            call = self._calls[method] = channel.unary_unary(
                method.path, method.request.SerializeToString, method.response.FromString)
        try:
            response: Response = await call(request, timeout=timeout, metadata=self._metadata)
            return response
        except grpc.aio.AioRpcError as error:
            raise error_of(error, self.address) from None

    def stream(
        self, method: Method[Request, Response], request: Request, timeout: float | None
    ) -> AsyncioStream[Response]:
        make = self._channel.unary_stream(method.path, method.request.SerializeToString, method.response.FromString)
        return AsyncioStream(make(request, timeout=timeout, metadata=self._metadata), self.address)

    def duplex(self, method: Method[Request, Response], timeout: float | None) -> AsyncioDuplex[Response]:
        make = self._channel.stream_stream(method.path, method.request.SerializeToString, method.response.FromString)
        return AsyncioDuplex(make(timeout=timeout, metadata=self._metadata), self.address)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def queue(self) -> AsyncioQueue:
        return AsyncioQueue()

    def credit(self) -> AsyncioCredit:
        return AsyncioCredit()

    def spawn(self, name: str, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def run_user(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if inspect.iscoroutinefunction(function):
            return await function(*args, **kwargs)
        return await asyncio.to_thread(function, *args, **kwargs)

    async def close(self) -> None:
        clean_ups = [task for task in self._tasks if task.get_name() == CLEAN_UP]
        if clean_ups:
            await asyncio.wait(clean_ups, timeout=CLEAN_UP_SECONDS)
        self._is_closed = True
        if self._open is not None:
            await self._open.close()


class AsyncioStream(Generic[Response]):
    def __init__(self, call: Any, address: str) -> None:
        self._call = call
        self._address = address

    async def read(self) -> Response | None:
        try:
            message = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise error_of(error, self._address) from None
        except asyncio.CancelledError:
            # Of this task, or because the call was cancelled: then it is the call's end, and no cancellation of ours.
            if not self._call.cancelled() or _is_being_cancelled():
                raise
            return None
        return None if message is grpc.aio.EOF else message

    def cancel(self) -> None:
        self._call.cancel()


def _is_being_cancelled() -> bool:
    """Whether this task was asked to end. Python 3.10 does not tell; there, all cancellations are taken for that."""
    task = asyncio.current_task()
    cancelling = getattr(task, "cancelling", None)
    return cancelling is None or cancelling() > 0


class AsyncioDuplex(AsyncioStream[Response]):
    async def write(self, message: Any) -> None:
        try:
            await self._call.write(message)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError, grpc.aio.UsageError):
            pass  # the call has ended; read() tells why

    async def done_writing(self) -> None:
        try:
            await self._call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError, grpc.aio.UsageError):
            pass


class AsyncioQueue:
    """Of one event loop, as all of its kind."""

    def __init__(self) -> None:
        self._items: asyncio.Queue[Tuple[Any, int]] = asyncio.Queue()
        self._weight = 0
        self._room = asyncio.Event()

    async def get(self, timeout: float | None) -> Any:
        try:
            item, weight = await asyncio.wait_for(self._items.get(), timeout)
        except asyncio.TimeoutError:
            raise TimeoutError("nothing came in time") from None
        self._weight -= weight
        self._room.set()
        return item

    def put(self, item: Any, weight: int = 0) -> None:
        self._items.put_nowait((item, weight))
        self._weight += weight

    async def wait_for_room(self, bound: int) -> None:
        while self._weight >= bound and bound > 0:
            self._room.clear()
            await self._room.wait()

    def close(self) -> None:
        """Nothing to wake: the reader is a task, which ends with its call."""
        self._weight = 0
        self._room.set()


class AsyncioCredit:
    """Of one event loop."""

    def __init__(self) -> None:
        self._left = 0
        self._closed = False
        self._changed = asyncio.Event()

    async def take(self, amount: int, timeout: float | None) -> None:
        if not self._closed and self._left <= 0:
            try:
                await asyncio.wait_for(self._wait(), timeout)
            except asyncio.TimeoutError:
                raise TimeoutError("the other side took nothing in time") from None
        self._left -= amount

    async def _wait(self) -> None:
        while not self._closed and self._left <= 0:
            self._changed.clear()
            await self._changed.wait()

    def give(self, amount: int) -> None:
        self._left += amount
        self._changed.set()

    def close(self) -> None:
        self._closed = True
        self._changed.set()
