"""Answers calls of functions that a client offers to the code in a sandbox.

The caller is hostile: it can begin calls and give them up as fast as it likes. So no more functions run at a time than
the client agreed to, given-up ones included; the rest waits, and what is given up while it waits never runs.
"""

from __future__ import annotations

import collections
import logging
import threading
from typing import Any, Callable, Deque, Dict, Mapping

from . import values
from .caller import Caller
from .io import Duplex, Task
from .v1 import message_service_pb2 as pb

_log = logging.getLogger("cloister")


class HostCalls:
    """Of one connection. Its methods never wait; thread-safe."""

    def __init__(self, caller: Caller, functions: Mapping[str, Callable[..., Any]], maximum: int) -> None:
        self._caller = caller
        self._functions = functions
        self._maximum = maximum
        self._lock = threading.Lock()
        self._waiting: Deque[pb.HostCall] = collections.deque()
        self._wanted: Dict[int, Task | None] = {}
        self._running = 0

    def begin(self, call: pb.HostCall, stream: Duplex[Any]) -> None:
        with self._lock:
            self._wanted[call.number] = None
            if self._running >= self._maximum:
                self._waiting.append(call)
                return
            self._running += 1
        self._spawn(call, stream)

    def give_up(self, number: int) -> None:
        """Nobody waits for that call any more."""
        with self._lock:
            task = self._wanted.pop(number, None)
            self._waiting = collections.deque(call for call in self._waiting if call.number != number)
        if task is not None:
            task.cancel()

    def end(self) -> None:
        """Nobody waits for any of them any more."""
        with self._lock:
            numbers = list(self._wanted)
        for number in numbers:
            self.give_up(number)

    def _spawn(self, call: pb.HostCall, stream: Duplex[Any]) -> None:
        task = self._caller.io.spawn(f"cloister call of {call.function}", self._run(call, stream))
        with self._lock:
            if call.number in self._wanted:
                self._wanted[call.number] = task

    async def _run(self, call: pb.HostCall, stream: Duplex[Any]) -> None:
        try:
            result = await self._answer(call)
            with self._lock:
                is_wanted = call.number in self._wanted
                self._wanted.pop(call.number, None)
            if is_wanted:
                await stream.write(pb.ConnectRequest(host_call_result=result))
        finally:
            self._end_of(call, stream)

    def _end_of(self, call: pb.HostCall, stream: Duplex[Any]) -> None:
        with self._lock:
            self._wanted.pop(call.number, None)
            following = self._waiting.popleft() if self._waiting else None
            if following is None:
                self._running -= 1
        if following is not None:
            self._spawn(following, stream)

    async def _answer(self, call: pb.HostCall) -> pb.HostCallResult:
        result = pb.HostCallResult(number=call.number)
        try:
            arguments = [values.decode(each, self._caller.classes) for each in call.arguments]
            keywords = {name: values.decode(each, self._caller.classes)
                        for name, each in call.keyword_arguments.items()}
            returned = await self._caller.io.run_user(self._functions[call.function], *arguments, **keywords)
            result.value.CopyFrom(values.encode(returned))
        except (Exception, SystemExit) as error:
            _log.info("the function %s, called from a sandbox, raised", call.function, exc_info=True)
            result.exception.CopyFrom(_as_value(error))
        return result


def _as_value(error: BaseException) -> Any:
    try:
        return values.encode(error)
    except values.CloneError:  # its arguments; the texts of them can be sent
        kind = type(error)
        return values.encode(values.RemoteError(str(error)[:1000], module=kind.__module__, type_name=kind.__qualname__))
