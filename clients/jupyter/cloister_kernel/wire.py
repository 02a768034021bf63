"""Jupyter's messages: parts of a ZeroMQ message to dicts and back, signed. https://jupyter-client.readthedocs.io, "Messaging".

A Wire may be used from any thread.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import itertools
import json
import os
import uuid
from dataclasses import dataclass
from typing import Any, Dict, List, Tuple

PROTOCOL_VERSION = "5.3"
_DELIMITER = b"<IDS|MSG>"


class WireError(ValueError):
    """Bytes that are no message, or not signed with our key."""


@dataclass(frozen=True)
class Message:
    """
    Attributes:
        identities: whom a reply goes to.
        header, content: as the specification has them; `content` is hostile only as far as the front end is.
    """

    identities: Tuple[bytes, ...]
    header: Dict[str, Any]
    parent: Dict[str, Any]
    content: Dict[str, Any]

    @property
    def kind(self) -> str:
        return str(self.header.get("msg_type", ""))


class Wire:
    def __init__(self, key: str, scheme: str = "hmac-sha256") -> None:
        digest = scheme.partition("-")[2]
        if not scheme.startswith("hmac-") or digest not in hashlib.algorithms_available:
            raise WireError(f"the connection file wants the signature scheme {scheme!r}, which is unknown here")
        self._mac = hmac.new(key.encode(), digestmod=digest) if key else None
        self._session = uuid.uuid4().hex
        self._numbers = itertools.count(1)
        self._username = os.environ.get("LOGNAME", "kernel")

    def pack(
        self,
        kind: str,
        content: Dict[str, Any],
        parent: Dict[str, Any],
        identities: Tuple[bytes, ...] = (),
        metadata: Dict[str, Any] | None = None,
    ) -> List[bytes]:
        header = {
            "msg_id": f"{self._session}_{next(self._numbers)}", "msg_type": kind, "username": self._username,
            "session": self._session, "version": PROTOCOL_VERSION,
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat().replace("+00:00", "Z"),
        }
        parts = [_dump(part) for part in (header, parent, metadata or {}, content)]
        return [*identities, _DELIMITER, self._sign(parts), *parts]

    def unpack(self, frames: List[bytes]) -> Message:
        """Raises WireError."""
        try:
            start = frames.index(_DELIMITER)
            signature, header, parent, metadata, content = frames[start + 1:start + 6]
        except ValueError:
            raise WireError("not a message of Jupyter's") from None
        if not hmac.compare_digest(signature, self._sign([header, parent, metadata, content])):
            raise WireError("a message whose signature is wrong")
        try:
            parts = [json.loads(part) for part in (header, parent, content)]
        except (ValueError, RecursionError):
            raise WireError("a message that is not JSON") from None
        if not all(isinstance(part, dict) for part in parts):
            raise WireError("a message whose parts are no JSON objects")
        return Message(tuple(frames[:start]), *parts)

    def _sign(self, parts: List[bytes]) -> bytes:
        if self._mac is None:
            return b""
        mac = self._mac.copy()
        for part in parts:
            mac.update(part)
        return mac.hexdigest().encode()


def _dump(part: Dict[str, Any]) -> bytes:
    # ASCII, so that lone surrogates, which JSON allows, get through as well.
    return json.dumps(part, allow_nan=False).encode()
