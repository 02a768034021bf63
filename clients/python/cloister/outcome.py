"""How a program ended, and what it used: immutable, and nothing of it needs the server any more."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Dict, Tuple, Type

from .errors import Died, Exited, Interrupted, LimitExceeded, OutcomeError, Raised
from .v1 import outcome_pb2 as pb


class OutcomeKind(enum.Enum):
    """What ended an execution; what each means is in outcome.proto."""

    UNSPECIFIED = 0
    SUCCEEDED = 1
    RAISED = 2
    EXITED = 3
    SIGNALED = 4
    WALL_TIMEOUT = 5
    CPU_TIMEOUT = 6
    MEMORY_LIMIT = 7
    OUTPUT_LIMIT = 8
    POLICY_VIOLATION = 9
    INTERRUPTED = 10
    INTERPRETER_LOST = 11


_ERRORS: Dict[OutcomeKind, Type[OutcomeError]] = {
    OutcomeKind.RAISED: Raised,
    OutcomeKind.EXITED: Exited,
    OutcomeKind.WALL_TIMEOUT: LimitExceeded,
    OutcomeKind.CPU_TIMEOUT: LimitExceeded,
    OutcomeKind.MEMORY_LIMIT: LimitExceeded,
    OutcomeKind.OUTPUT_LIMIT: LimitExceeded,
    OutcomeKind.INTERRUPTED: Interrupted,
}


@dataclass(frozen=True)
class Frame:
    """One frame of a traceback; `line` is 1-based, 0 where unknown."""

    file: str
    line: int
    function: str
    source_line: str


@dataclass(frozen=True)
class ExceptionInfo:
    """An exception of a program, as data. `traceback` is the text a Python user expects, of the outermost only."""

    type: str
    module: str
    message: str
    notes: Tuple[str, ...]
    frames: Tuple[Frame, ...]
    traceback: str
    cause: ExceptionInfo | None
    context: ExceptionInfo | None
    exceptions: Tuple[ExceptionInfo, ...]

    def __str__(self) -> str:
        name = self.type if self.module in ("", "builtins", "__main__") else f"{self.module}.{self.type}"
        return f"{name}: {self.message}" if self.message else name


@dataclass(frozen=True)
class Usage:
    """What an execution used, by the host's measure. Times in seconds."""

    wall_time: float
    cpu_time: float
    peak_memory_bytes: int
    stdout_bytes: int
    stderr_bytes: int


@dataclass(frozen=True)
class StageTimes:
    """Where the time went, in seconds: until a sandbox was leased, until the code was handed over, and from then on."""

    queued: float
    prepared: float
    first_output: float | None
    ran: float


@dataclass(frozen=True)
class Outcome:
    """The end of one execution, decided by the host.

    Attributes:
        kind: what ended it.
        detail: one English sentence for people.
        exception: of RAISED, and of INTERRUPTED where KeyboardInterrupt reached the top.
        exit_code: of EXITED.
        signal: of SIGNALED and some POLICY_VIOLATIONs.
        state_preserved: whether a live sandbox's variables are still there.
        truncated_stdout_bytes, truncated_stderr_bytes: output that was produced but not delivered.
    """

    kind: OutcomeKind
    detail: str
    exception: ExceptionInfo | None
    exit_code: int
    signal: int
    state_preserved: bool
    usage: Usage
    stage_times: StageTimes
    truncated_stdout_bytes: int
    truncated_stderr_bytes: int

    @property
    def ok(self) -> bool:
        """Whether the program succeeded: ran to its end, or exited with 0."""
        return self.kind is OutcomeKind.SUCCEEDED or self.kind is OutcomeKind.EXITED and self.exit_code == 0

    def error(self, result: Any = None) -> OutcomeError | None:
        """The exception for this end; None where it is a success."""
        if self.ok:
            return None
        if self.exception is not None and self.kind is OutcomeKind.RAISED:
            message = str(self.exception)
        elif self.kind is OutcomeKind.EXITED:
            message = f"exited with code {self.exit_code}"
        else:
            message = f"{self.kind.name}: {self.detail}" if self.detail else self.kind.name
        return _ERRORS.get(self.kind, Died)(message, self, result)


def outcome_of(message: Any) -> Outcome:
    """The Outcome of a cloister.v1.Outcome."""
    times = message.stage_times
    usage = message.usage
    kind = message.kind
    return Outcome(
        kind=OutcomeKind(kind) if kind in pb.Outcome.Kind.values() else OutcomeKind.UNSPECIFIED,
        detail=message.detail,
        exception=exception_of(message.exception) if message.HasField("exception") else None,
        exit_code=message.exit_code,
        signal=message.signal,
        state_preserved=message.state_preserved,
        usage=Usage(seconds(usage.wall_time), seconds(usage.cpu_time), usage.peak_memory_bytes, usage.stdout_bytes,
                    usage.stderr_bytes),
        stage_times=StageTimes(seconds(times.queued), seconds(times.prepared),
                               seconds(times.first_output) if times.HasField("first_output") else None,
                               seconds(times.ran)),
        truncated_stdout_bytes=message.truncated_stdout_bytes,
        truncated_stderr_bytes=message.truncated_stderr_bytes,
    )


def exception_of(message: Any) -> ExceptionInfo:
    return ExceptionInfo(
        type=message.type,
        module=message.module,
        message=message.message,
        notes=tuple(message.notes),
        frames=tuple(Frame(each.file, each.line, each.function, each.source_line) for each in message.frames),
        traceback=message.traceback,
        cause=exception_of(message.cause) if message.HasField("cause") else None,
        context=exception_of(message.context) if message.HasField("context") else None,
        exceptions=tuple(map(exception_of, message.exceptions)),
    )


def seconds(duration: Any) -> float:
    """Of a google.protobuf.Duration."""
    return float(duration.seconds + duration.nanos * 1e-9)
