"""Deadlines and retries, which all calls share.

A call is repeated only where that cannot run anything twice: where the server says that it has not begun, or where the
call is idempotent, by nature or by its request_id.
"""

from __future__ import annotations

import math
import os
import random
import time
from typing import Any, Callable, Coroutine

from .errors import Cancelled, CloisterError, DeadlineExceeded, ServiceError, Unavailable
from .io import CLEAN_UP, Io, Stream
from .methods import Method, Request, Response
from .values import ClassTable

# The server refused before it did anything.
_NOT_BEGUN = frozenset(["POOL_EXHAUSTED", "OVERLOADED", "SERVER_DRAINING", "EXECUTION_QUEUE_FULL", "INBOX_FULL",
                        "INTERPRETER_BUSY", "RATE_EXCEEDED", "CONCURRENCY_EXCEEDED"])
# It may have begun; what is idempotent can be asked again.
_UNFINISHED = frozenset(["FILES_INTERRUPTED"])
_CLEAN_UP_TIMEOUT = 10.0
_FIRST_DELAY = 0.05
_LONGEST_DELAY = 2.0


def new_request_id() -> str:
    """Of the system's randomness, so that forked processes have different ones."""
    return os.urandom(16).hex()


class Caller:
    """Makes calls through an Io.

    Attributes:
        timeout: of a call that says nothing else, in seconds.
        attempts: how often at most a call is made, the first included.
        classes: of whose instances values are made.
    """

    def __init__(self, io: Io, timeout: float, attempts: int, classes: ClassTable) -> None:
        self.io = io
        self.timeout = timeout
        self.attempts = attempts
        self.classes = classes

    async def unary(
        self,
        method: Method[Request, Response],
        request: Request,
        *,
        timeout: float | None = None,
        repeatable: bool = False,
    ) -> Response:
        """One call, with retries.

        Args:
            timeout: seconds for all attempts together; None: `self.timeout`.
            repeatable: whether the same request twice has the effect of one.
        """
        if timeout is None:
            timeout = self.timeout
        if self.attempts <= 1:
            return await self.io.unary(method, request, timeout)
        deadline = time.monotonic() + timeout
        attempt = 0
        while True:
            try:
                return await self.io.unary(method, request, max(0.0, deadline - time.monotonic()))
            except ServiceError as error:
                attempt += 1
                delay = self.delay_before(attempt, error, repeatable)
                if delay is None or time.monotonic() + delay >= deadline:
                    raise
            await self.io.sleep(delay)

    async def create(
        self,
        method: Method[Request, Response],
        request: Request,
        take_back: Callable[[Response], Coroutine[Any, Any, Any]],
        timeout: float | None = None,
    ) -> Response:
        """A call that makes something, whose request has a request_id.

        Args:
            take_back: ends what was made. Where the caller gives up (its task is cancelled, Ctrl-C, its deadline) nobody
                knows whether something was: so the same is asked for again beside, and taken back.
        """
        try:
            return await self.unary(method, request, timeout=timeout, repeatable=True)
        except ServiceError as error:
            if isinstance(error, (DeadlineExceeded, Cancelled)) and error.reason != "NOT_STARTED":
                self.io.spawn(CLEAN_UP, self._take_back(method, request, take_back))
            raise
        except BaseException:
            self.io.spawn(CLEAN_UP, self._take_back(method, request, take_back))
            raise

    async def _take_back(self, method: Any, request: Any, take_back: Callable[[Any], Coroutine[Any, Any, Any]]) -> None:
        try:
            await take_back(await self.unary(method, request, timeout=_CLEAN_UP_TIMEOUT, repeatable=True))
        except CloisterError:
            pass  # it was not made, or is gone; else its ttl ends it

    def delay_before(self, attempt: int, error: ServiceError, repeatable: bool) -> float | None:
        """Seconds before attempt number `attempt` (the first is 0) after `error`; None: do not."""
        if attempt >= self.attempts:
            return None
        if error.reason in _NOT_BEGUN:
            may_repeat = True
        elif repeatable:
            may_repeat = error.reason in _UNFINISHED or was_cut(error)
        else:
            may_repeat = False
        if not may_repeat:
            return None
        delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** (attempt - 1))
        return max(error.retry_after or 0.0, delay * random.uniform(0.5, 1.0))

    def stream(
        self, method: Method[Request, Response], request: Request, timeout: float | None = None
    ) -> Stream[Response]:
        return self.io.stream(method, request, self.timeout if timeout is None else timeout)


def was_cut(error: Exception) -> bool:
    """Whether the connection broke, so that nobody knows what became of the call."""
    return isinstance(error, (Unavailable, Cancelled)) and not error.reason  # the latter at a server's end


def time_left(deadline: float | None) -> float | None:
    """Seconds until a moment of time.monotonic(). Raises DeadlineExceeded."""
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise DeadlineExceeded("no answer within the call's timeout", code="DEADLINE_EXCEEDED")
    return left


class Handle:
    """What belongs to a client and makes calls through it."""

    _caller: Caller

    def _classes(self) -> ClassTable:
        return self._caller.classes


def duration(seconds: float, into: Any) -> None:
    """Writes seconds into a google.protobuf.Duration."""
    if not math.isfinite(seconds):
        raise ValueError(f"{seconds} is no length of time")
    into.FromNanoseconds(round(seconds * 1e9))
