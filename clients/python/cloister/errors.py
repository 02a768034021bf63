"""What can go wrong, in two families that never mix.

- `ServiceError`: the service could not do what was asked. With the server's reason, the fields that were wrong, and
  after how many seconds it is worth trying again.
- `OutcomeError`: the program ran, and ended otherwise than by success. With the result it had.

All of them, and `cloister.CloneError`, are `CloisterError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, NamedTuple, Sequence

if TYPE_CHECKING:
    from .outcome import Outcome


class CloisterError(Exception):
    """Base of all errors of this package."""


class FieldProblem(NamedTuple):
    """One field of a request that the server refused."""

    field: str
    description: str


class ServiceError(CloisterError):
    """The service could not do what was asked.

    Attributes:
        message: one English sentence of the server's.
        reason: name of the server's reason without prefix (``POOL_EXHAUSTED``, see error_reason.proto); empty where the
            status came from gRPC itself, as when no server answers.
        code: the name of the gRPC status, e.g. ``UNAVAILABLE``.
        metadata: what the reason comes with, e.g. ``{"maximum": "100"}``.
        fields: for invalid requests, what is wrong with which field.
        retry_after: seconds after which the server advises to try again; None where it does not.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        code: str = "UNKNOWN",
        metadata: Mapping[str, str] | None = None,
        fields: Sequence[FieldProblem] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.code = code
        self.metadata = dict(metadata or {})
        self.fields = tuple(fields)
        self.retry_after = retry_after

    def __str__(self) -> str:
        parts = [self.message or "the service gave no message"]
        parts += [f"{field}: {description}" for field, description in self.fields if description not in self.message]
        text = "; ".join(parts)
        return f"{text} [{self.reason or self.code}]"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__.copy())


class Unavailable(ServiceError, ConnectionError):
    """No server answers, it is about to stop, or it has no room now."""


class InvalidRequest(ServiceError, ValueError):
    """A field of the request is missing, malformed or past its bound."""


class NotFound(ServiceError, LookupError):
    """What was named is not there: it never was, was deleted, or has expired."""


class AlreadyExists(ServiceError):
    """Something of that name is there already."""


class Unauthenticated(ServiceError, PermissionError):
    """The credentials are missing, wrong or expired."""


class Refused(ServiceError):
    """The state of what was named does not allow it now."""


class Lost(Refused):
    """The interpreter of a live sandbox ended, and its variables with it; `restart()` gives it a new start."""


class ResourceExhausted(ServiceError):
    """A quota is used up, a queue is full, or a message is too long."""


class DeadlineExceeded(ServiceError, TimeoutError):
    """The call took longer than its timeout."""


class Cancelled(ServiceError):
    """The call was cancelled."""


class InternalError(ServiceError):
    """The server failed; its log has the details."""


class OutcomeError(CloisterError):
    """A program ended otherwise than by success. `type(error)` tells the family, `error.outcome` all.

    Attributes:
        outcome: how it ended.
        result: what it left: a `Result`, or a verdict of `map()`. None where there is none.
    """

    def __init__(self, message: str, outcome: Outcome, result: Any = None) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.result = result

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__.copy())


class Raised(OutcomeError):
    """An exception reached the top; ``error.outcome.exception`` has it with frames, notes and traceback text."""


class Exited(OutcomeError):
    """The program ended itself with an exit code other than 0."""


class LimitExceeded(OutcomeError):
    """Wall time, processor time, memory or output went past its limit."""


class Interrupted(OutcomeError):
    """It was interrupted."""


class Died(OutcomeError):
    """A signal, a violation of policy, or the loss of its interpreter ended it."""


class Disconnected(CloisterError, ConnectionError):
    """A stream ended before the program's end was told; whether it goes on is not known."""


def _restore(cls: type[Exception], args: tuple[Any, ...], state: dict[str, Any]) -> Exception:
    """Of pickle and copy: without __init__, whose arguments are others."""
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error
