"""Calls that block their thread. Thread-safe: any number of threads may call at the same time."""

from __future__ import annotations

import atexit
import collections
import inspect
import os
import threading
import time
import traceback
import weakref
from typing import Any, Callable, Coroutine, Deque, Dict, Generic, Iterator, List, Tuple

import grpc

from .channel import channel_options
from .errors import CloisterError
from .io import CLEAN_UP, CLEAN_UP_SECONDS, drive
from .methods import Method, Request, Response
from .status import error_of

_CLOSED = -1
# Messages of a stream that may wait to be sent.
_OUTBOX = 16


class BlockingIo:
    def __init__(self, address: str, credentials: Any, message_bytes: int, metadata: Any) -> None:
        self.address = address
        self._metadata = metadata
        options = channel_options(message_bytes)
        if credentials is None:
            self._channel = grpc.insecure_channel(address, options=options)
        else:
            self._channel = grpc.secure_channel(address, credentials, options=options)
        self._unary: Dict[Method[Any, Any], Any] = {}
        self._clean_ups: List[threading.Thread] = []
        # Whose connection it is; no process once it is closed.
        self._process = os.getpid()

    async def unary(self, method: Method[Request, Response], request: Request, timeout: float | None) -> Response:
        call = self._unary.get(method) or self._make_unary(method)
        if os.getpid() != self._process:
            self._check_process()
        try:
            response: Response = call(request, timeout=timeout, metadata=self._metadata)
            return response
        except grpc.RpcError as error:
            raise error_of(error, self.address) from None
        except BaseException as error:
            # Ctrl-C. gRPC ends the call when the last frame that knows it is gone; a traceback would keep it alive.
            traceback.clear_frames(error.__traceback__)
            raise

    def _make_unary(self, method: Method[Any, Any]) -> Any:
        self._check_process()
        call = self._channel.unary_unary(method.path, method.request.SerializeToString, method.response.FromString)
        return self._unary.setdefault(method, call)

    def stream(
        self, method: Method[Request, Response], request: Request, timeout: float | None
    ) -> BlockingStream[Response]:
        self._check_process()
        make = self._channel.unary_stream(method.path, method.request.SerializeToString, method.response.FromString)
        return BlockingStream(make(request, timeout=timeout, metadata=self._metadata), self.address)

    def duplex(self, method: Method[Request, Response], timeout: float | None) -> BlockingDuplex[Response]:
        self._check_process()
        make = self._channel.stream_stream(method.path, method.request.SerializeToString, method.response.FromString)
        outbox = _Outbox()
        call = make(outbox, timeout=timeout, metadata=self._metadata)
        # A call that has ended sends nothing more, or gRPC's thread would wait for messages for ever.
        if not call.add_callback(outbox.close):
            outbox.close()
        return BlockingDuplex(call, self.address, outbox)

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def queue(self) -> BlockingQueue:
        return BlockingQueue()

    def credit(self) -> BlockingCredit:
        return BlockingCredit()

    def spawn(self, name: str, coroutine: Coroutine[Any, Any, None]) -> BlockingTask:
        thread = threading.Thread(target=drive, args=(coroutine,), name=name, daemon=True)
        thread.start()
        if name == CLEAN_UP:
            self._clean_ups = [each for each in self._clean_ups if each.is_alive()] + [thread]
        return BlockingTask()

    async def run_user(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if inspect.iscoroutine(result):
            result.close()
            name = getattr(function, "__name__", "the function")
            raise TypeError(f"{name} is a coroutine function, which needs an AsyncClient")
        return result

    async def close(self) -> None:
        if os.getpid() != self._process:
            return  # closed already; or of the parent of this process, whose connection it is
        for thread in self._clean_ups:
            thread.join(CLEAN_UP_SECONDS)
        self._process = _CLOSED
        self._channel.close()

    def _check_process(self) -> None:
        if self._process == _CLOSED:
            raise CloisterError("the client is closed")
        if os.getpid() != self._process:
            raise CloisterError("this Client was made before a fork, which gRPC's connections do not survive; "
                                "make a Client of its own in each process")


class BlockingStream(Generic[Response]):
    def __init__(self, call: Any, address: str) -> None:
        self._call = call
        self._address = address
        self._process = os.getpid()

    async def read(self) -> Response | None:
        try:
            message: Response = next(self._call)
            return message
        except StopIteration:
            return None
        except grpc.RpcError as error:
            raise error_of(error, self._address) from None

    def cancel(self) -> None:
        if os.getpid() == self._process:  # a forked child ends nothing of its parent's
            self._call.cancel()


class BlockingDuplex(BlockingStream[Response]):
    def __init__(self, call: Any, address: str, outbox: _Outbox) -> None:
        super().__init__(call, address)
        self._outbox = outbox

    async def write(self, message: Any) -> None:
        self._outbox.put(message)

    async def done_writing(self) -> None:
        self._outbox.close()

    def drain(self, timeout: float) -> None:
        """Waits until gRPC has taken all that was written."""
        self._outbox.drain(timeout)


# gRPC's threads wait in them, and the end of the program waits for those threads.
_outboxes: weakref.WeakSet[_Outbox] = weakref.WeakSet()


def _close_all() -> None:
    for outbox in list(_outboxes):
        outbox.close()


getattr(threading, "_register_atexit", atexit.register)(_close_all)


class _Outbox:
    """What gRPC's thread takes the messages of a stream from. Bounded."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._messages: Deque[Any] = collections.deque()
        self._closed = False
        _outboxes.add(self)

    def put(self, message: Any) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._messages) < _OUTBOX)
            if not self._closed:
                self._messages.append(message)
                self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def drain(self, timeout: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._messages, timeout)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._messages))
            if not self._messages:
                raise StopIteration
            message = self._messages.popleft()
            self._changed.notify_all()
            return message


class BlockingQueue:
    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: Deque[Tuple[Any, int]] = collections.deque()
        self._weight = 0
        self._closed = False

    async def get(self, timeout: float | None) -> Any:
        with self._changed:
            if not self._changed.wait_for(lambda: bool(self._items), timeout):
                raise TimeoutError("nothing came in time")
            item, weight = self._items.popleft()
            self._weight -= weight
            self._changed.notify_all()
            return item

    def put(self, item: Any, weight: int = 0) -> None:
        with self._changed:
            self._items.append((item, weight))
            self._weight += weight
            self._changed.notify_all()

    async def wait_for_room(self, bound: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._weight < bound)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class BlockingCredit:
    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._left = 0
        self._closed = False

    async def take(self, amount: int, timeout: float | None) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._closed or self._left > 0, timeout):
                raise TimeoutError("the other side took nothing in time")
            self._left -= amount

    def give(self, amount: int) -> None:
        with self._changed:
            self._left += amount
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class BlockingTask:
    def cancel(self) -> None:
        """A thread cannot be ended; what it returns is dropped."""
