"""What the server says of sandboxes, interpreters, snapshots and itself: immutable, as of the moment of the call."""

from __future__ import annotations

import datetime
import enum
from dataclasses import dataclass
from typing import Any, Tuple

from .outcome import OutcomeKind, seconds
from .program import Limits, limits_of
from .v1 import outcome_pb2


class State(enum.Enum):
    """Of a sandbox or an interpreter."""

    UNSPECIFIED = 0
    STARTING = 1
    READY = 2
    BUSY = 3
    LOST = 4


class Profile(enum.Enum):
    """How an interpreter is set apart from the others of its sandbox; see interpreter.proto."""

    UNSPECIFIED = 0
    MAIN = 1
    ISOLATED = 2
    SHARED_GIL = 3
    PROCESS = 4


@dataclass(frozen=True)
class Loss:
    """Why an interpreter was lost."""

    cause: OutcomeKind
    detail: str
    execution: str


@dataclass(frozen=True)
class SandboxInfo:
    """Times in UTC, durations in seconds; what is unset in the server is None or empty."""

    name: str
    state: State
    template: str
    snapshot: str
    parent: str
    create_time: datetime.datetime
    expire_time: datetime.datetime
    idle_timeout: float | None
    idle_expire_time: datetime.datetime | None
    limits: Limits
    loss: Loss | None
    current_execution: str
    queued_execution_count: int
    restart_count: int
    execution_count: int


@dataclass(frozen=True)
class InterpreterInfo:
    name: str
    profile: Profile
    profile_reason: str
    state: State
    loss: Loss | None
    create_time: datetime.datetime
    memory_limit_bytes: int
    memory_bytes: int
    peak_memory_bytes: int
    current_execution: str
    queued_execution_count: int
    restart_count: int
    execution_count: int


@dataclass(frozen=True)
class SnapshotInfo:
    name: str
    sandbox: str
    template: str
    create_time: datetime.datetime
    expire_time: datetime.datetime
    limits: Limits
    memory_bytes: int


@dataclass(frozen=True)
class TemplateInfo:
    name: str
    image: str
    python_version: str
    warm_up_imports: Tuple[str, ...]
    packages: Tuple[str, ...]
    ready_count: int
    profiles: Tuple[Profile, ...]


@dataclass(frozen=True)
class LayerInfo:
    """One wall round every sandbox, and whether it stands."""

    name: str
    in_force: bool
    detail: str


@dataclass(frozen=True)
class ServerInfo:
    """`message` is the whole cloister.v1.GetInfoResponse."""

    version: str
    ready: bool
    not_ready_reason: str
    templates: Tuple[TemplateInfo, ...]
    default_limits: Limits
    maximum_limits: Limits
    layers: Tuple[LayerInfo, ...]
    message: Any


@dataclass(frozen=True)
class Completion:
    """What could stand at the cursor: `text` replaces the characters [start, end) of the code."""

    text: str
    kind: str
    start: int
    end: int


@dataclass(frozen=True)
class Inspection:
    """What is known of the name at the cursor; all empty where `is_found` is False."""

    is_found: bool
    name: str
    type_name: str
    signature: str
    documentation: str
    source: str
    file: str
    line: int
    value: str


@dataclass(frozen=True)
class Completeness:
    """`status` is "complete", "incomplete" (then `indent` is for the next line) or "invalid"."""

    status: str
    indent: str


def sandbox_info(m: Any) -> SandboxInfo:
    return SandboxInfo(
        name=m.name, state=_of(State, m.state), template=m.template, snapshot=m.snapshot, parent=m.parent,
        create_time=moment(m.create_time), expire_time=moment(m.expire_time),
        idle_timeout=seconds(m.idle_timeout) if m.HasField("idle_timeout") else None,
        idle_expire_time=moment(m.idle_expire_time) if m.HasField("idle_expire_time") else None,
        limits=limits_of(m.limits), loss=_loss(m), current_execution=m.current_execution,
        queued_execution_count=m.queued_execution_count, restart_count=m.restart_count,
        execution_count=m.execution_count)


def interpreter_info(m: Any) -> InterpreterInfo:
    return InterpreterInfo(
        name=m.name, profile=_of(Profile, m.profile), profile_reason=m.profile_reason, state=_of(State, m.state),
        loss=_loss(m), create_time=moment(m.create_time), memory_limit_bytes=m.memory_limit_bytes,
        memory_bytes=m.memory_bytes, peak_memory_bytes=m.peak_memory_bytes, current_execution=m.current_execution,
        queued_execution_count=m.queued_execution_count, restart_count=m.restart_count,
        execution_count=m.execution_count)


def snapshot_info(m: Any) -> SnapshotInfo:
    return SnapshotInfo(m.name, m.sandbox, m.template, moment(m.create_time), moment(m.expire_time),
                        limits_of(m.limits), m.memory_bytes)


def server_info(m: Any) -> ServerInfo:
    templates = tuple(
        TemplateInfo(t.name, t.image, t.python_version, tuple(t.warm_up_imports), tuple(t.packages),
                     t.pool.ready_count, tuple(_of(Profile, each) for each in t.profiles)) for t in m.templates)
    layers = tuple(LayerInfo(each.name, each.in_force, each.detail) for each in m.isolation.layers)
    return ServerInfo(m.version, m.ready, m.not_ready_reason, templates, limits_of(m.default_limits),
                      limits_of(m.maximum_limits), layers, m)


def moment(timestamp: Any) -> datetime.datetime:
    made: datetime.datetime = timestamp.ToDatetime(datetime.timezone.utc)
    return made


def _of(kind: Any, number: int) -> Any:
    """The member of an enum; UNSPECIFIED for numbers that a newer server has."""
    try:
        return kind(number)
    except ValueError:
        return kind.UNSPECIFIED


def _loss(m: Any) -> Loss | None:
    if not m.HasField("loss"):
        return None
    cause = m.loss.cause if m.loss.cause in outcome_pb2.Outcome.Kind.values() else 0
    return Loss(OutcomeKind(cause), m.loss.detail, m.loss.execution)
