"""An executor whose workers are interpreters of this sandbox (pool_workers.py).

The loader adds to this namespace: `load`.
"""

import itertools
import os
import weakref
from concurrent.futures import Executor, Future

_calls = load("calls")
_messages = load("messages")
_futures, _workers = load("pool_futures"), load("pool_workers")
BrokenInterpreterPool, _Task = _futures["BrokenInterpreterPool"], _futures["Task"]
_Pool, _Worker = _workers["Pool"], _workers["Worker"]


class _Chunk:
    """A function for several sets of arguments at a time."""

    __slots__ = ("function",)

    def __init__(self, function):
        self.function = function


class InterpreterPoolExecutor(Executor):
    """Runs functions in interpreters of this sandbox, which are made when they are needed, `max_workers` at most.
    What a function needs and gives is cloned; the function is one that can be imported, or one at the top level of
    __main__, whose source is sent. `initializer(*initargs)` is called in each worker first."""

    def __init__(self, max_workers=None, initializer=None, initargs=(), profile=""):
        if max_workers is None:
            max_workers = len(os.sched_getaffinity(0))
        if max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._max_workers = max_workers
        self._initializer = (None, None)
        if initializer is not None:
            self._initializer = _calls["describe_function"](initializer)
        self._initargs = tuple(initargs)
        self._profile = profile
        self._being_made = 0
        self._pool = _Pool()
        self._finalizer = weakref.finalize(self, self._pool.shut_down)
        self._finalizer.atexit = False

    def _check_open(self):
        if self._pool.broken is not None:
            raise BrokenInterpreterPool("a worker of the executor has ended") from self._pool.broken
        if self._pool.is_shut_down:
            raise RuntimeError("cannot schedule new futures after shutdown")

    def submit(self, fn, /, *args, **kwargs):
        kind, function = ("chunk", fn.function) if type(fn) is _Chunk else ("call", fn)
        if kind == "chunk":
            (args,) = args
        pool = self._pool
        try:
            name, source = _calls["describe_function"](function)
        except TypeError as exc:
            self._check_open()
            return _failed(exc)
        task = _Task(pool, kind, name, source, args, kwargs)
        worker = None
        makes_worker = False
        with pool.lock:
            self._check_open()
            pool.start()
            pool.waiting.append(task)
            for worker in pool.workers:
                if pool.claim(worker):
                    break
            else:
                worker = None
                makes_worker = len(pool.workers) + self._being_made < self._max_workers
                self._being_made += makes_worker
        if worker is not None:
            pool.hand_over(worker)
        elif makes_worker:
            self._add_worker(task)
        pool.tell()
        return task.future

    submit.__doc__ = Executor.submit.__doc__

    def _add_worker(self, task):
        pool = self._pool
        is_claimed = False
        try:
            worker = self._make_worker()
        except BaseException as exc:
            with pool.lock:
                self._being_made -= 1
                self._do_without_worker(task, exc)
            if not isinstance(exc, Exception):
                raise
            return
        with pool.lock:
            self._being_made -= 1
            is_closed = pool.is_closed()
            if not is_closed:
                pool.workers.append(worker)
                is_claimed = pool.claim(worker)
        if is_closed:
            worker.end()
        elif is_claimed:
            pool.hand_over(worker)

    def _do_without_worker(self, task, exc):
        pool = self._pool
        if not isinstance(exc, Exception) and task in pool.waiting:
            pool.waiting.remove(task)  # nobody gets its future
        if pool.workers:
            if isinstance(exc, Exception):
                self._max_workers = len(pool.workers)  # as many as there can be
        elif isinstance(exc, Exception) or (pool.waiting and not self._being_made):
            pool.break_up(exc)

    def _make_worker(self):
        interpreter = _calls["spawn_interpreter"](profile=self._profile)
        try:
            tasks, results = _messages["Channel"](), _messages["Channel"]()
            with tasks, results:
                worker = _Worker(interpreter, tasks.sender, results.receiver)
                ends = (tasks.receiver, results.sender)
                interpreter.post((*ends, *self._initializer, self._initargs), transfer=ends)
        except BaseException:
            interpreter.close()
            raise
        return worker

    def map(self, fn, *iterables, timeout=None, chunksize=1, **options):
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        if chunksize == 1:
            return super().map(fn, *iterables, timeout=timeout, **options)
        chunks = _in_chunks(zip(*iterables), chunksize)
        return _chain(super().map(_Chunk(fn), chunks, timeout=timeout, **options))

    map.__doc__ = Executor.map.__doc__

    def shutdown(self, wait=True, *, cancel_futures=False):
        pool = self._pool
        cancelled = []
        with pool.lock:
            if cancel_futures:
                cancelled = list(pool.waiting)
                pool.waiting.clear()
            thread = pool.thread
            pool.shut_down()
        for task in cancelled:
            if task.future.cancel():
                task.future.set_running_or_notify_cancel()
        if wait and thread is not None:
            thread.join()

    shutdown.__doc__ = Executor.shutdown.__doc__


def _failed(exc):
    """The future of a function that cannot be sent."""
    future = Future()
    future.set_running_or_notify_cancel()
    future.set_exception(exc)
    return future


def _in_chunks(values, size):
    while chunk := tuple(itertools.islice(values, size)):
        yield chunk


def _chain(lists):
    for values in lists:
        values.reverse()
        while values:
            yield values.pop()


InterpreterPoolExecutor.__module__ = "cloister"
