"""What happens in an execution, as typed events in the order of their numbers."""

from __future__ import annotations

import codecs
import datetime
from dataclasses import dataclass
from typing import Any, Dict, Tuple, Union

from .program import Limits, limits_of
from .result import MimeBundle, Result, bundle_of


@dataclass(frozen=True)
class _Event:
    """
    Attributes:
        sequence: its number, from 1.
        time: of the host's clock, in UTC.
    """

    sequence: int
    time: datetime.datetime


@dataclass(frozen=True)
class Started(_Event):
    """The program was handed to an interpreter."""

    execution: str
    warm: bool
    limits: Limits
    execution_count: int


@dataclass(frozen=True)
class Output(_Event):
    """A piece of stdout or stderr: `data` as it came, `text` with characters that pieces cut put together."""

    stream: str  # "stdout" or "stderr"
    text: str
    data: bytes


@dataclass(frozen=True)
class Display(_Event):
    """Something to show; with `is_update` in place of what has this `display_id`."""

    bundle: MimeBundle
    display_id: str
    is_update: bool


@dataclass(frozen=True)
class ClearOutput(_Event):
    """Take back what was shown; with `wait` not before something new is there."""

    wait: bool


@dataclass(frozen=True)
class InputRequested(_Event):
    """The program waits in input(); answer with `Execution.send_input()`. Its wall time goes on."""

    number: int
    prompt: str
    is_password: bool


@dataclass(frozen=True)
class LateOutput(_Event):
    """What threads and tasks of an earlier execution of the same interpreter wrote: `what` is one of the above."""

    execution: str
    what: Union[Output, Display, ClearOutput]


@dataclass(frozen=True)
class Finished(_Event):
    """The end; no event follows."""

    result: Result


Event = Union[Started, Output, Display, ClearOutput, InputRequested, LateOutput, Finished]


class EventReader:
    """Makes events of messages. For one execution."""

    def __init__(self) -> None:
        self._decoders: Dict[Tuple[str, str], Any] = {}

    def read(self, message: Any) -> Event | None:
        """The event of a cloister.v1.ExecutionEvent that is not `finished`; None for what is none of these."""
        stamp = (message.sequence, message.time.ToDatetime(datetime.timezone.utc))
        kind = message.WhichOneof("event")
        if kind == "started":
            started = message.started
            return Started(*stamp, started.execution, started.start_kind == 1, limits_of(started.effective_limits),
                           started.execution_count)
        if kind == "input_request":
            asked = message.input_request
            return InputRequested(*stamp, asked.number, asked.prompt, asked.is_password)
        if kind == "late_output":
            late = message.late_output
            what = self._written(stamp, late.WhichOneof("written"), late, late.execution)
            return None if what is None else LateOutput(*stamp, late.execution, what)
        return self._written(stamp, kind, message, "")

    def _written(self, stamp: Tuple[int, datetime.datetime], kind: str | None, message: Any, of: str) -> Output | Display | ClearOutput | None:
        if kind in ("stdout", "stderr"):
            data = bytes(getattr(message, kind))
            decoder = self._decoders.get((of, kind))
            if decoder is None:
                decoder = self._decoders[of, kind] = codecs.getincrementaldecoder("utf-8")("replace")
            return Output(*stamp, kind, decoder.decode(data), data)
        if kind == "display":
            shown = message.display
            return Display(*stamp, bundle_of(shown.bundle), shown.display_id, shown.is_update)
        if kind == "clear_output":
            return ClearOutput(*stamp, message.clear_output.wait)
        return None
