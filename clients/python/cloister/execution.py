"""Following one execution: its events, also across lost connections, its end, and what can be done to it meanwhile.

A stream that breaks is attached to again behind the last event seen. Where the server has interrupted the program by then
(it does so unless the execution was started with `detach=True`), what comes is its last output and INTERRUPTED.
"""

from __future__ import annotations

import datetime
import time
from typing import Any, Callable, List

from . import methods
from .caller import Caller, Handle, duration, time_left, was_cut
from .errors import Disconnected, NotFound, ServiceError
from .events import Display, Event, EventReader, Finished, InputRequested, Started
from .io import Stream, blocking, drive
from .result import Result
from .v1 import execution_service_pb2 as pb

# Attempts in a row to attach again, without an event in between.
_ATTEMPTS = 8
_LONGEST_DELAY = 2.0
# A program may show without end; what is beyond this comes as events only.
_KEPT_DISPLAY_BYTES = 64 << 20
# Of each, beside its content.
_DISPLAY_BYTES = 1 << 10


class Prompt(str):
    """What a program asks for in `input()`. `is_password`: do not echo what is typed, and keep no copy."""

    is_password: bool = False

    @classmethod
    def of(cls, event: InputRequested) -> Prompt:
        prompt = cls(event.prompt)
        prompt.is_password = event.is_password
        return prompt


class ExecutionBase(Handle):
    """One execution that runs, or ran. One task or thread reads it; `interrupt()` and `send_input()` may be called by any.

    Closing it, leaving its `with` block, or dropping it before its end interrupts the program, unless it was started
    with `detach=True`.
    """

    def __init__(
        self,
        caller: Caller,
        request: pb.ExecuteRequest | None,
        timeout: float | None,
        name: str = "",
        after_sequence: int = 0,
    ) -> None:
        self._caller = caller
        self._request = request
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._sequence = after_sequence
        self._stream: Stream[Any] | None
        self._reader = EventReader()
        self._response = pb.RunCodeResponse(execution=name)
        # Not lists of pieces: a program decides how small those are.
        self._stdout, self._stderr = bytearray(), bytearray()
        self._displays: List[Display] = []
        self._displayed_bytes = 0
        self._result: Result | None = None
        self._closed = False
        # From now on, whoever reads it and when. An error comes with the first event.
        self._stream = self._open()

    @property
    def name(self) -> str:
        """`executions/...`; empty until the program has started. Whoever has it may attach."""
        return self._response.execution

    @property
    def last_sequence(self) -> int:
        """Number of the last event that was read; `client.attach(name, after_sequence=...)` goes on behind it."""
        return self._sequence

    def cancel(self) -> None:
        """Stops reading, which ends the program unless it is detached. Never blocks; may be repeated."""
        self._closed = True
        if self._stream is not None:
            self._stream.cancel()

    def __del__(self) -> None:
        stream = getattr(self, "_stream", None)
        if stream is not None and self._result is None:
            try:
                stream.cancel()
            except Exception:  # at the end of the process, when gRPC may be gone
                pass

    def _named(self, purpose: str) -> str:
        if not self.name:
            raise RuntimeError(f"cannot {purpose} an execution that has not started; read its first event before")
        return self.name

    def _open(self) -> Stream[Any]:
        io, timeout = self._caller.io, time_left(self._deadline)
        if self._request is not None and not self.name:
            # With its request_id: whatever ran of it is attached to, and never run twice.
            return io.stream(methods.EXECUTE, self._request, timeout)
        attach = pb.AttachExecutionRequest(execution=self.name, after_sequence=self._sequence)
        return io.stream(methods.ATTACH_EXECUTION, attach, timeout)

    def _delay_before(self, lost: int, error: Exception) -> float | None:
        """Seconds before attempt number `lost` to go on; None: give up."""
        if isinstance(error, Disconnected) or was_cut(error):
            if self.name:
                delay = min(_LONGEST_DELAY, 0.05 * 2.0 ** (lost - 1)) if lost <= _ATTEMPTS else None
            else:
                unavailable = error if isinstance(error, ServiceError) else ServiceError("", code="UNAVAILABLE")
                delay = self._caller.delay_before(lost, unavailable, repeatable=True)
        elif isinstance(error, ServiceError) and not self.name:
            delay = self._caller.delay_before(lost, error, repeatable=False)
        else:
            delay = None
        if delay is not None and self._deadline is not None and time.monotonic() + delay >= self._deadline:
            return None
        return delay

    def _explain(self, error: Exception) -> Exception:
        if isinstance(error, NotFound) and error.reason == "EXECUTION_NOT_FOUND" and self._sequence > 0:
            return Disconnected(f"the connection to {self.name} broke, and the server does not know it any more: it was "
                                "restarted, or the execution ended longer ago than it is kept")
        return error

    def _take(self, message: Any) -> Event | None:
        if message.sequence:
            self._sequence = message.sequence
        kind = message.WhichOneof("event")
        if kind == "finished":
            self._response.outcome.CopyFrom(message.finished.outcome)
            self._response.files.extend(message.finished.files)
            self._response.stdout, self._response.stderr = bytes(self._stdout), bytes(self._stderr)
            self._result = Result(self._response, self._caller.classes, tuple(self._displays))
            self._stream = None  # nothing of it is to be cancelled
            return Finished(message.sequence, message.time.ToDatetime(datetime.timezone.utc), self._result)
        event = self._reader.read(message)
        if isinstance(event, Started):
            started = message.started
            self._response.execution, self._response.start_kind = started.execution, started.start_kind
            self._response.execution_count = started.execution_count
            self._response.effective_limits.CopyFrom(started.effective_limits)
        elif kind == "stdout":
            self._stdout += message.stdout
        elif kind == "stderr":
            self._stderr += message.stderr
        elif isinstance(event, Display):
            self._displayed_bytes += sum(map(len, event.bundle.data.values())) + _DISPLAY_BYTES
            if self._displayed_bytes <= _KEPT_DISPLAY_BYTES:
                self._displays.append(event)
        return event


class ExecutionOperations(ExecutionBase):
    async def next_event(self) -> Event | None:
        """Waits for the next event; None once the last was read. Raises ServiceError and Disconnected."""
        if self._result is not None or self._closed:
            return None
        lost = 0
        while True:
            try:
                if self._stream is None:
                    self._stream = self._open()
                message = await self._stream.read()
                if message is None:
                    raise Disconnected("the stream of events ended before the program did")
            except (ServiceError, Disconnected) as error:
                if self._closed:
                    return None
                lost += 1
                delay = self._delay_before(lost, error)
                if delay is None:
                    self.cancel()
                    raise self._explain(error) from error
                self._stream = None
                await self._caller.io.sleep(delay)
                continue
            except BaseException:
                self.cancel()
                raise
            lost = 0
            event = self._take(message.event)
            if event is not None:
                return event

    async def result(self) -> Result:
        """Reads all events to the end and returns what came of it, with all output that was read here."""
        while await ExecutionOperations.next_event(self) is not None:
            pass
        if self._result is None:
            raise Disconnected("the execution was closed before its end")
        return self._result

    async def interrupt(self, grace: float | None = None) -> None:
        """Interrupts the program: KeyboardInterrupt, again and again, and a kill after the grace time.

        Returns when the program has ended; its events are still to be read. Idempotent.

        Args:
            grace: seconds until the kill; None: the server's default, 2. 0 kills at once; at most 60.
        """
        request = pb.InterruptExecutionRequest(execution=self._named("interrupt"))
        if grace is not None:
            duration(grace, request.grace)
        timeout = self._caller.timeout + (grace or 0)
        await self._caller.unary(methods.INTERRUPT_EXECUTION, request, timeout=timeout, repeatable=True)

    async def send_input(self, text: str | None, number: int = 0) -> None:
        """Answers a program that waits in `input()`.

        Args:
            text: the line without its end, at most 64 KiB; None: the program's input() raises EOFError.
            number: of the `InputRequested` that this answers; 0: whichever is open.

        Raises:
            Refused: INPUT_NOT_EXPECTED, it does not wait.
        """
        request = pb.SendInputRequest(execution=self._named("answer"), request_number=number)
        if text is None:
            request.end_of_file = True
        else:
            request.text = text
        await self._caller.unary(methods.SEND_INPUT, request)

    async def answer(self, event: InputRequested, ask: Callable[[Prompt], Any]) -> None:
        """Sends what `ask(prompt)` returns; the end of input where it returns None or raises EOFError."""
        try:
            text = await self._caller.io.run_user(ask, Prompt.of(event))
        except EOFError:
            text = None
        try:
            await ExecutionOperations.send_input(self, text, event.number)
        except ServiceError as error:
            if error.reason not in ("INPUT_NOT_EXPECTED", "EXECUTION_NOT_FOUND"):  # it ended meanwhile
                raise


class AsyncExecution(ExecutionOperations):
    """See `ExecutionBase`. `async for event in execution` reads events; `await execution.result()` the end."""

    def __aiter__(self) -> AsyncExecution:
        return self

    async def __anext__(self) -> Event:
        event = await self.next_event()
        if event is None:
            raise StopAsyncIteration
        return event

    async def __aenter__(self) -> AsyncExecution:
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        self.cancel()


class Execution(ExecutionBase):
    """See `ExecutionBase`. `for event in execution` reads events; `execution.result()` the end."""

    next_event = blocking(ExecutionOperations.next_event)
    result = blocking(ExecutionOperations.result)
    interrupt = blocking(ExecutionOperations.interrupt)
    send_input = blocking(ExecutionOperations.send_input)
    answer = blocking(ExecutionOperations.answer)

    def __iter__(self) -> Execution:
        return self

    def __next__(self) -> Event:
        event = self.next_event()
        if event is None:
            raise StopIteration
        return event

    def __enter__(self) -> Execution:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self.cancel()


async def follow(
    execution: ExecutionOperations,
    ask: Callable[[Prompt], Any] | None,
    on_event: Callable[[Event], Any] | None,
) -> Result:
    """Reads an execution to its end with callbacks of the user's; what they raise ends the program."""
    try:
        while True:
            event = await ExecutionOperations.next_event(execution)
            if event is None:
                break
            if ask is not None and isinstance(event, InputRequested):
                await ExecutionOperations.answer(execution, event, ask)
            if on_event is not None:
                await execution._caller.io.run_user(on_event, event)
        return await ExecutionOperations.result(execution)
    finally:
        execution.cancel()


