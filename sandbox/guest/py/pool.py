"""An executor whose workers are interpreters of this sandbox.

Each worker has a channel for tasks and one for results, and never more than one task. It serves them within calls
(pool_worker.py), which are started when there is something to do. A thread of the executor's receives results and
hands out what waits.

The loader adds to this namespace: `load`.
"""

import itertools
import os
import selectors
import threading
import weakref
from collections import deque
from concurrent.futures import BrokenExecutor, Executor, Future

_calls = load("calls")
_messages = load("messages")
ChannelClosed = _messages["ChannelClosed"]


class BrokenInterpreterPool(BrokenExecutor):
    """A worker ended, or its initializer failed: the executor is of no use any more."""


class _Task:
    __slots__ = ("future", "message")

    def __init__(self, future, message):
        self.future = future
        self.message = message


class _Worker:
    def __init__(self, interpreter, tasks, results):
        self.interpreter = interpreter
        self.tasks = tasks
        self.results = results
        self.task = None
        self.call = None  # that it serves in
        self.is_gone = None  # why nothing more comes from it

    def end(self):
        self.tasks.close()
        self.results.close()
        if self.call is not None:
            self.call.cancel()
        try:
            self.interpreter.close()
        except Exception:
            pass  # with the sandbox at the latest


class _Chunk:
    """A function for several sets of arguments at a time."""

    __slots__ = ("function",)

    def __init__(self, function):
        self.function = function


class _Pool:
    """What the thread and the executor share; the thread keeps no executor alive."""

    def __init__(self):
        self.lock = threading.RLock()
        self.waiting = deque()
        self.workers = []
        self.is_shut_down = False
        self.broken = None  # why
        self.selector = selectors.DefaultSelector()
        self.wakeup = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.selector.register(self.wakeup, selectors.EVENT_READ, None)
        self.thread = None

    def wake(self):
        with self.lock:
            if self.wakeup >= 0:
                os.eventfd_write(self.wakeup, 1)

    def is_closed(self):
        return self.wakeup < 0

    # ---- with the lock

    def give(self, worker):
        """Hands the worker what waits first, if anything. Where it cannot be known whether the worker has it, as
        after an interrupt, the pool is of no use any more."""
        while worker.task is None and self.waiting:
            task = worker.task = self.waiting[0]
            try:
                self.waiting.popleft()
                if not task.future.set_running_or_notify_cancel():
                    worker.task = None
                elif self.put(worker, task):
                    self.serve(worker)
            except BaseException as exc:
                self.break_up(exc)
                if not isinstance(exc, Exception):
                    raise

    def put(self, worker, task):
        try:
            worker.tasks.put(task.message)
        except ChannelClosed:
            raise
        except Exception as exc:  # it cannot be sent
            worker.task = None
            task.future.set_exception(exc)
            return False
        return True

    def serve(self, worker):
        if worker.call is not None:
            return
        worker.call = worker.interpreter.start_call("cloister:_serve_pool")
        self.selector.register(worker.call.fileno(), selectors.EVENT_READ, (worker, worker.call))
        self.wake()

    def break_up(self, cause):
        if self.broken is None:
            self.broken = cause
        tasks = [worker.task for worker in self.workers if worker.task is not None]
        tasks += [task for task in self.waiting if task not in tasks]
        self.waiting.clear()
        for worker in self.workers:
            worker.task = None
        for task in tasks:
            if not task.future.running() and not task.future.set_running_or_notify_cancel():
                continue
            error = BrokenInterpreterPool("a worker of the executor has ended")
            error.__cause__ = self.broken
            task.future.set_exception(error)
        self.wake()

    def end_if_unused(self):
        """Once it is shut down: the thread ends it, but where there is none yet and nothing to be done."""
        if self.thread is not None or self.waiting:
            self.wake()
        elif not self.is_closed():
            self.close()

    # ---- in the thread

    def run(self):
        try:
            while not self.is_over():
                for key, _ in self.selector.select():
                    if key.data is None:
                        self.drop_wakeups()
                    elif type(key.data) is tuple:
                        self.end_call(*key.data)
                    else:
                        self.take_result(key.data)
        except BaseException as exc:
            with self.lock:
                self.break_up(exc)
        finally:
            self.close()

    def drop_wakeups(self):
        try:
            os.eventfd_read(self.wakeup)
        except BlockingIOError:
            pass

    def is_over(self):
        with self.lock:
            if self.broken is not None:
                return True
            return self.is_shut_down and not self.waiting and all(w.task is None for w in self.workers)

    def end_call(self, worker, call):
        with self.lock:
            self.selector.unregister(call.fileno())
            worker.call = None
            try:
                call.result()
            except Exception as exc:
                self.break_up(exc)
                return
            if worker.is_gone is not None:
                self.break_up(worker.is_gone)
            elif worker.task is not None:  # it left while the task was on its way
                self.serve(worker)

    def take_result(self, worker):
        value = exc = None
        try:
            found = worker.results._poll()
            if found is None:
                return
            value, packed = found[0]
            exc = None if packed is None else _calls["unpack_exception"](packed)
        except ChannelClosed as problem:
            with self.lock:
                self.selector.unregister(worker.results.fileno())
                worker.is_gone = problem
                # What its call raises says why.
                if worker.call is None:
                    self.break_up(problem)
            return
        except Exception as problem:
            exc = problem  # of a result that cannot be read here
        with self.lock:
            task, worker.task = worker.task, None
            self.give(worker)
        if task is None:
            return
        if isinstance(exc, BaseException):
            task.future.set_exception(exc)
        else:
            task.future.set_result(value)

    def close(self):
        """Ends the workers."""
        with self.lock:
            self.is_shut_down = True
            workers, self.workers = self.workers, []
            wakeup, self.wakeup = self.wakeup, -1
        self.selector.close()
        for worker in workers:
            worker.tasks.close()
        for worker in workers:
            worker.end()
        if wakeup >= 0:
            os.close(wakeup)


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
        self._finalizer = weakref.finalize(self, _shut_down, self._pool)
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
        name, source = _calls["describe_function"](function)
        pool = self._pool
        task = _Task(Future(), (kind, name, source, args, kwargs))
        with pool.lock:
            self._check_open()
            pool.waiting.append(task)
            for worker in pool.workers:
                if worker.task is None:
                    pool.give(worker)
                    return task.future
            if len(pool.workers) + self._being_made >= self._max_workers:
                return task.future
            self._being_made += 1
        self._add_worker(task)
        return task.future

    submit.__doc__ = Executor.submit.__doc__

    def _add_worker(self, task):
        pool = self._pool
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
            if pool.is_closed():
                worker.end()
                return
            pool.workers.append(worker)
            pool.selector.register(worker.results.fileno(), selectors.EVENT_READ, worker)
            if pool.thread is None:
                pool.thread = threading.Thread(target=pool.run, name="cloister pool", daemon=True)
                pool.thread.start()
            pool.give(worker)

    def _do_without_worker(self, task, exc):
        pool = self._pool
        if not isinstance(exc, Exception) and task in pool.waiting:
            pool.waiting.remove(task)  # nobody gets its future
        if pool.workers:
            if isinstance(exc, Exception):
                self._max_workers = len(pool.workers)  # as many as there can be
        elif isinstance(exc, Exception) or (pool.waiting and not self._being_made):
            pool.break_up(exc)
            if pool.thread is None:
                pool.close()

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
        with pool.lock:
            pool.is_shut_down = True
            if cancel_futures:
                while pool.waiting:
                    task = pool.waiting.popleft()
                    if task.future.cancel():
                        task.future.set_running_or_notify_cancel()
            thread = pool.thread
            pool.end_if_unused()
        if wait and thread is not None:
            thread.join()

    shutdown.__doc__ = Executor.shutdown.__doc__


def _shut_down(pool):
    with pool.lock:
        pool.is_shut_down = True
        pool.end_if_unused()


def _in_chunks(values, size):
    while chunk := tuple(itertools.islice(values, size)):
        yield chunk


def _chain(lists):
    for values in lists:
        values.reverse()
        while values:
            yield values.pop()


for _class in (BrokenInterpreterPool, InterpreterPoolExecutor):
    _class.__module__ = "cloister"
