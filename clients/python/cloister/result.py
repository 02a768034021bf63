"""What came of one execution: output, value, files, and how it ended."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Tuple, TypeVar

from . import values
from .errors import OutcomeError
from .outcome import Outcome, Usage, outcome_of
from .program import Limits, limits_of
from .values import ClassTable

Self = TypeVar("Self", bound="Result")


@dataclass(frozen=True)
class ReturnedFile:
    """A file that a program left. Where `error` is not empty, it says why there is no content."""

    path: str
    content: bytes
    error: str


@dataclass(frozen=True)
class MimeBundle:
    """An object in several forms. Made by hostile code: show HTML and scripts isolated, if at all.

    Attributes:
        data: MIME type to content: text in UTF-8, JSON as its text, images as their file's bytes.
        metadata_json: a JSON object as text, or empty.
        omitted: forms that were left out, with their size in bytes.
    """

    data: Mapping[str, bytes]
    metadata_json: str = ""
    omitted: Tuple[Tuple[str, int], ...] = ()

    @property
    def text(self) -> str:
        """As plain text."""
        return self.data.get("text/plain", b"").decode("utf-8", "replace")


def bundle_of(message: Any) -> MimeBundle:
    return MimeBundle(dict(message.data), message.metadata_json,
                      tuple((each.mime_type, each.size_bytes) for each in message.omitted))


class Result:
    """What came of one execution. Immutable; usable from any thread; needs no connection.

    What is read of it is made when it is first asked for.
    """

    def __init__(self, response: Any, classes: ClassTable, displays: Tuple[Any, ...] = ()) -> None:
        self._response = response
        self._classes = classes
        self.displays = displays
        """What the program showed with `display()`; only of streams, where somebody asked for them."""

    @property
    def execution(self) -> str:
        """`executions/...`, for logs."""
        return str(self._response.execution)

    @functools.cached_property
    def outcome(self) -> Outcome:
        return outcome_of(self._response.outcome)

    @property
    def ok(self) -> bool:
        """Whether the program succeeded."""
        return self.outcome.ok

    @property
    def usage(self) -> Usage:
        return self.outcome.usage

    @functools.cached_property
    def value(self) -> Any:
        """The value of the last expression, or of the called function; None where there was none.

        Raises:
            CloneError: it cannot be cloned (`text` has its repr), with the way to what hinders it.
        """
        value = self._response.outcome.value
        kind = value.WhichOneof("kind")
        if kind is None:
            return None
        if kind == "text":
            if value.clone_error:
                path, _, problem = value.clone_error.partition(": ")
                raise values.CloneError(path, problem)
            return value.text
        if kind == "bundle":
            return bundle_of(value.bundle)
        return values.decode(value, self._classes)

    @property
    def text(self) -> str:
        """The value as text: its repr, or its plain form; empty where there was none."""
        value = self._response.outcome.value
        kind = value.WhichOneof("kind")
        if kind is None:
            return ""
        if kind == "text":
            return str(value.text)
        made = self.value
        return made.text if isinstance(made, MimeBundle) else repr(made)

    @property
    def stdout(self) -> str:
        """What the program wrote, as text; bytes that are not UTF-8 are U+FFFD."""
        return self.stdout_bytes.decode("utf-8", "replace")

    @property
    def stderr(self) -> str:
        return self.stderr_bytes.decode("utf-8", "replace")

    @property
    def stdout_bytes(self) -> bytes:
        return bytes(self._response.stdout)

    @property
    def stderr_bytes(self) -> bytes:
        return bytes(self._response.stderr)

    @functools.cached_property
    def files(self) -> Dict[str, ReturnedFile]:
        """Files asked for with `return_files`, by path."""
        return {each.path: ReturnedFile(each.path, each.content, each.error) for each in self._response.files}

    @property
    def warm(self) -> bool:
        """Whether a sandbox was ready before the request came."""
        return bool(self._response.start_kind == 1)

    @property
    def limits(self) -> Limits:
        """Those that were in force."""
        return limits_of(self._response.effective_limits)

    @property
    def execution_count(self) -> int:
        """In a live interpreter the number shown as In[n]."""
        return int(self._response.execution_count)

    def raise_for_outcome(self: Self) -> Self:
        """This result, if the program succeeded.

        Raises:
            OutcomeError: it did not; the subclass says how it ended, `error.result` is this.
        """
        error = self.outcome.error(self)
        if error is not None:
            raise _with_traceback(error)
        return self

    def __repr__(self) -> str:
        return f"<cloister.Result {self.outcome.kind.name}, {len(self.stdout_bytes)} bytes of stdout>"


def _with_traceback(error: OutcomeError) -> OutcomeError:
    """Adds the program's own traceback, where Python shows notes."""
    exception = error.outcome.exception
    if exception is not None and exception.traceback and hasattr(error, "add_note"):
        error.add_note(exception.traceback.rstrip())
    return error
