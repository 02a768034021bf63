"""Tasks of an InterpreterPoolExecutor, and what becomes of their futures; the loader adds to this namespace:
`load`."""

from concurrent.futures import BrokenExecutor, Future
from itertools import count

_time_left = load("messages")["time_left"]


class BrokenInterpreterPool(BrokenExecutor):
    """A worker ended, or its initializer failed: the executor is of no use any more."""


BrokenInterpreterPool.__module__ = "cloister"


class PoolFuture(Future):
    task = None  # until it is done

    def result(self, timeout=None):
        left = _time_left(timeout)
        _help(self, left)
        return super().result(left())

    def exception(self, timeout=None):
        left = _time_left(timeout)
        _help(self, left)
        return super().exception(left())


def _help(future, left):
    task = future.task
    if task is not None:
        task.pool.receive_until(future, left)


_numbers = count(1)


class Task:
    __slots__ = ("future", "message", "number", "pool", "worker")

    def __init__(self, pool, *message):
        self.pool = pool
        self.future = PoolFuture()
        self.future.task = self
        self.number = next(_numbers)
        self.message = (self.number, *message)
        self.worker = None  # that has it


class End:
    """What a future is to be told."""

    __slots__ = ("future", "value", "exception")

    def __init__(self, future, value, exception):
        self.future = future
        self.value = value
        self.exception = exception
