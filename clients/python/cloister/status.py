"""Statuses of gRPC as exceptions of ours, with all that the server said.

A server's own refusals have a google.rpc.ErrorInfo of the domain "cloister"; what has none comes from gRPC itself: no
server answers, a message is too long, a deadline has passed.
"""

from __future__ import annotations

from typing import Any, Dict, List, Type

import grpc
from google.protobuf.message import DecodeError

from .errors import (AlreadyExists, Cancelled, DeadlineExceeded, FieldProblem, InternalError, InvalidRequest, Lost,
                     NotFound, Refused, ResourceExhausted, ServiceError, Unauthenticated, Unavailable)
from .google_rpc import error_details_pb2, status_pb2

_DETAILS = "grpc-status-details-bin"

_BY_CODE: Dict[str, Type[ServiceError]] = {
    "UNAVAILABLE": Unavailable,
    "INVALID_ARGUMENT": InvalidRequest,
    "OUT_OF_RANGE": NotFound,
    "NOT_FOUND": NotFound,
    "ALREADY_EXISTS": AlreadyExists,
    "FAILED_PRECONDITION": Refused,
    "ABORTED": Refused,
    "RESOURCE_EXHAUSTED": ResourceExhausted,
    "DEADLINE_EXCEEDED": DeadlineExceeded,
    "CANCELLED": Cancelled,
    "UNAUTHENTICATED": Unauthenticated,
    "PERMISSION_DENIED": Unauthenticated,
    "INTERNAL": InternalError,
}
_BY_REASON: Dict[str, Type[ServiceError]] = {"SANDBOX_LOST": Lost, "INTERPRETER_LOST": Lost}
_CODES = {code.value[0]: code.name for code in grpc.StatusCode}


def error_of(error: Any, address: str = "") -> ServiceError:
    """The exception for a grpc.RpcError, of either API of gRPC's."""
    code = error.code().name
    message = error.details() or ""
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS:
            try:
                return _with_details(code, message, status_pb2.Status.FromString(value).details)
            except DecodeError:  # somebody else's
                break
    return _BY_CODE.get(code, ServiceError)(_explain(code, message, address), code=code)


def error_of_status(status: Any) -> ServiceError:
    """The exception for a google.rpc.Status."""
    return _with_details(_CODES.get(status.code, "UNKNOWN"), status.message, status.details)


def _with_details(code: str, message: str, details: Any) -> ServiceError:
    reason = ""
    metadata: Dict[str, str] = {}
    retry_after: float | None = None
    fields: List[FieldProblem] = []
    for detail in details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo.FromString(detail.value)
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            delay = error_details_pb2.RetryInfo.FromString(detail.value).retry_delay
            retry_after = max(0.0, delay.seconds + delay.nanos * 1e-9)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            violations = error_details_pb2.BadRequest.FromString(detail.value).field_violations
            fields += [FieldProblem(each.field, each.description) for each in violations]
        elif detail.Is(error_details_pb2.QuotaFailure.DESCRIPTOR):
            quotas = error_details_pb2.QuotaFailure.FromString(detail.value).violations
            fields += [FieldProblem(each.subject, each.description) for each in quotas]
    kind = _BY_REASON.get(reason, _BY_CODE.get(code, ServiceError))
    return kind(message, reason=reason, code=code, metadata=metadata, fields=fields, retry_after=retry_after)


def _explain(code: str, message: str, address: str) -> str:
    """What gRPC's own statuses mean, and what helps."""
    if code == "UNAVAILABLE":
        return f"no Cloister server answers at {address} ({message}); is cloisterd running, and is this its address?"
    if code == "RESOURCE_EXHAUSTED":
        return f"{message}; a message is larger than the server takes or Client(message_bytes=...) allows"
    if code == "DEADLINE_EXCEEDED":
        return "no answer within the call's timeout"
    if code == "UNIMPLEMENTED":
        return f"the server at {address} does not know this call: it is older than this client, or no Cloister server"
    return message
