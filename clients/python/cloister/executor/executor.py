"""A `concurrent.futures.Executor` whose functions run in sandboxes."""

from __future__ import annotations

import atexit
import concurrent.futures
import queue
import threading
import weakref
from concurrent.futures import BrokenExecutor, Future
from typing import Any, Callable, Iterable, Iterator, List, Tuple, TypeVar

from ..client import Client
from ..errors import CloisterError, Lost, NotFound
from ..program import Limits
from ..sandbox import Sandbox
from .call import Call, Shipper, call_of, raise_as_its_own

T = TypeVar("T")

_STOP: Any = object()


class BrokenSandboxPool(BrokenExecutor):
    """The initializer of an executor failed; nothing runs in it any more."""


class Executor(concurrent.futures.Executor):
    """Runs functions in sandboxes, `max_workers` at a time, with the interface of the standard library's executors.

        with cloister.Executor(client, max_workers=4) as executor:
            print(list(executor.map(math.factorial, range(5))))

    Functions go by the name of what the sandbox can import, or by their source with what they use of their module
    (`cloister.source` has the rules); arguments and results as typed values. Builtin exceptions of a function are raised
    as what they are, others as `cloister.Raised`, which is the cause in any case and has the traceback.

    - Without an `initializer` each call has a sandbox that nobody used before.
    - With one, each worker has a live sandbox, in which the initializer runs once, and which keeps its state from call to
      call, as the processes of `ProcessPoolExecutor` do. A call that loses its sandbox fails alone; its worker gets
      another one.

    A call that runs cannot be cancelled, as anywhere in `concurrent.futures`; `limits` end it. Where the executor is
    dropped without `shutdown()`, its workers end when they have done what was asked for; the end of the program waits for
    them.
    """

    def __init__(
        self,
        client: Client | None = None,
        max_workers: int = 4,
        *,
        initializer: Callable[..., Any] | None = None,
        initargs: Iterable[Any] = (),
        limits: Limits | None = None,
        template: str = "",
        modules: Iterable[str] = (),
        timeout: float | None = None,
        unsafe_cloudpickle: bool = False,
    ) -> None:
        """
        Args:
            client: None: one of its own, closed by `shutdown()`.
            max_workers: calls at a time.
            limits: of each call.
            modules: top-level modules, beside the standard library's, that the sandbox has.
            timeout: seconds for each call, queues included; None: the client's.
            unsafe_cloudpickle: send functions and arguments by cloudpickle, for what has no source. It has to be
                installed here and in the sandbox's image, with the same Python version. Results still come as typed
                values: nothing that a sandbox sends is ever unpickled here.
        """
        if max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._owns_client = client is None
        self._client = client or Client()
        self._ship = Shipper(modules, limits, template, timeout, unsafe_cloudpickle)
        self._initializer = None if initializer is None else self._ship(initializer, tuple(initargs), {})
        self._max_workers = max_workers
        self._calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: List[threading.Thread] = []
        self._idle = threading.Semaphore(0)
        self._state = _State()
        # Whoever forgets shutdown() leaves no threads behind.
        self._finalizer = weakref.finalize(self, _stop_workers, self._calls, self._state)
        self._finalizer.atexit = False  # then _finish_all() is earlier

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Schedules a call. What cannot be sent is told by the future: NotPortable, CloneError."""
        with self._lock:
            if self._state.broken is not None:
                raise BrokenSandboxPool(str(self._state.broken)) from self._state.broken
            if self._state.is_shut_down:
                raise RuntimeError("cannot schedule new futures after shutdown")
            future: Future[T] = Future()
            try:
                call = self._ship(fn, args, kwargs)
            except CloisterError as error:
                future.set_exception(error)
                return future
            self._calls.put((future, call))
            self._start_worker()
            return future

    def map(self, fn: Callable[..., T], *iterables: Iterable[Any], timeout: float | None = None,
            chunksize: int = 1, **kwargs: Any) -> Iterator[T]:
        """As the standard library's, in the order of the inputs; each call is a run of its own, whatever `chunksize`."""
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        return super().map(fn, *iterables, timeout=timeout, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no further calls. Those that wait are run, or with `cancel_futures` cancelled; `wait` waits for all."""
        with self._lock:
            self._state.is_shut_down = True
            if cancel_futures:
                _cancel_all(self._calls)
            self._calls.put(_STOP)
        if wait:
            for thread in self._threads:
                thread.join()
            if self._owns_client:
                self._client.close()
        self._finalizer.detach()

    def _start_worker(self) -> None:
        if self._idle.acquire(blocking=False) or len(self._threads) >= self._max_workers:
            return
        thread = threading.Thread(
            target=_work, name=f"cloister executor {len(self._threads)}", daemon=True,
            args=(self._calls, self._state, self._idle, self._client, self._initializer, self._ship))
        self._threads.append(thread)
        _running[thread] = (self._calls, self._state)
        thread.start()


class _State:
    """What the executor and its workers share. The workers do not know the executor, so that it can be collected."""

    def __init__(self) -> None:
        self.is_shut_down = False
        self.broken: BaseException | None = None


# Workers of all executors, for the end of the program.
_running: weakref.WeakKeyDictionary[threading.Thread, Tuple[Any, _State]] = weakref.WeakKeyDictionary()


def _finish_all() -> None:
    """Lets all workers do what was asked for, before threads can no longer be started."""
    running = list(_running.items())
    for _, (calls, state) in running:
        _stop_workers(calls, state)
    for thread, _ in running:
        thread.join()


# As the executors of the standard library do it; atexit would be too late for gRPC.
getattr(threading, "_register_atexit", atexit.register)(_finish_all)


def _stop_workers(calls: queue.SimpleQueue[Any], state: _State) -> None:
    state.is_shut_down = True
    calls.put(_STOP)


def _cancel_all(calls: queue.SimpleQueue[Any], error: BaseException | None = None) -> None:
    is_stopped = False
    while True:
        try:
            item = calls.get_nowait()
        except queue.Empty:
            if is_stopped:
                calls.put(_STOP)
            return
        if item is _STOP:
            is_stopped = True
            continue
        future = item[0]
        if error is None:
            future.cancel()
        elif future.set_running_or_notify_cancel():
            future.set_exception(BrokenSandboxPool(str(error)))


def _work(calls: queue.SimpleQueue[Any], state: _State, idle: threading.Semaphore, client: Client,
          initializer: Call | None, ship: Shipper) -> None:
    """A worker's thread."""
    worker = _Worker(client, initializer, ship)
    try:
        while True:
            try:
                item = calls.get_nowait()
            except queue.Empty:
                idle.release()
                item = calls.get()
            if item is _STOP:
                calls.put(_STOP)  # for the next worker
                return
            future, call = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                worker.prepare()
            except BaseException as error:
                state.broken = error
                future.set_exception(BrokenSandboxPool(f"the initializer failed: {error}"))
                _cancel_all(calls, error)
                continue
            try:
                result = worker.run(call)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
            del item, future, call
    finally:
        worker.close()


class _Worker:
    """Where a worker's calls run: in a fresh sandbox each, or in a live one that was initialised."""

    def __init__(self, client: Client, initializer: Call | None, ship: Shipper) -> None:
        self._client = client
        self._initializer = initializer
        self._ship = ship
        self._sandbox: Sandbox | None = None

    def prepare(self) -> None:
        if self._initializer is None or self._sandbox is not None:
            return
        self._sandbox = self._client.sandbox(template=self._ship.template, limits=self._ship.limits)
        try:
            call_of(self._sandbox, self._initializer, None, "", self._ship.timeout).raise_for_outcome()
        except BaseException:
            self.close()
            raise

    def run(self, call: Call) -> Any:
        if self._sandbox is None:
            result = call_of(self._client, call, self._ship.limits, self._ship.template, self._ship.timeout)
        else:
            try:
                result = call_of(self._sandbox, call, None, "", self._ship.timeout)
            except (Lost, NotFound):  # it ended, or expired, between calls: this one has not begun
                self.close()
                self.prepare()
                result = call_of(self._sandbox, call, None, "", self._ship.timeout)
            if not result.outcome.state_preserved:
                self.close()
        error = result.outcome.error(result)
        if error is not None:
            raise_as_its_own(error)
        return result.value

    def close(self) -> None:
        sandbox, self._sandbox = self._sandbox, None
        if sandbox is not None:
            try:
                sandbox.delete(missing_ok=True)
            except CloisterError:
                pass  # its ttl ends it
