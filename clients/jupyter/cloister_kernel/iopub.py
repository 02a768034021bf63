"""What all front ends of a kernel see: outputs and whether it is busy. Thread-safe.

Pieces of a stream that come close together go out as one message, so that a flood of small writes does not become a flood of
messages: the first at once, what follows within _QUIET after that. Order is kept with all else that is published.
"""

from __future__ import annotations

import re
import threading
import time
from typing import Any, Dict, List

from .wire import Wire

_QUIET = 0.05
# What looks like the traceback of the cell's end waits this long for that end, see drop_traceback().
_HELD = 1.0
_MAX_PIECE = 256 << 10
# Longer strings of an exception may have been cut by the sandbox.
_CUT = 4096
_TRACEBACK = re.compile(r"^(Traceback \(most recent call last\):|  \+ Exception Group Traceback|  File \")", re.M)


class IoPub:
    """Owns its socket."""

    def __init__(self, socket: Any, wire: Wire) -> None:
        self._socket = socket
        self._wire = wire
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._pieces: List[str] = []
        self._size = 0
        self._name = ""
        self._parent: Dict[str, Any] = {}
        self._due = 0.0
        self._last_sent = 0.0
        self._closed = False
        self._flusher = threading.Thread(target=self._flush_in_time, name="iopub", daemon=True)
        self._flusher.start()

    def publish(self, kind: str, content: Dict[str, Any], parent: Dict[str, Any]) -> None:
        with self._lock:
            self._flush()
            self._send(kind, content, parent)

    def stream(self, name: str, text: str, parent: Dict[str, Any]) -> None:
        """`name`: stdout or stderr."""
        if not text:
            return
        with self._lock:
            if self._pieces and (name != self._name or parent is not self._parent):
                self._flush()
            self._pieces.append(text)
            self._size += len(text)
            self._name, self._parent = name, parent
            now = time.monotonic()
            if self._size > _MAX_PIECE:
                self._flush()
            elif name == "stderr" and _TRACEBACK.search(text):
                self._wake_at(now + _HELD)
            elif len(self._pieces) == 1 and now - self._last_sent > _QUIET:
                self._flush()
            elif len(self._pieces) == 1:
                self._wake_at(self._last_sent + _QUIET)

    def drop_traceback(self, traceback: str) -> None:
        """Takes the traceback of the cell's end out of stderr again, where front ends are sent it as an error."""
        with self._lock:
            if self._name != "stderr" or not self._pieces or not traceback:
                return
            text = "".join(self._pieces)
            start, end = text.rfind(traceback), len(text)
            if start >= 0:
                end = start + len(traceback)  # a thread may have written behind it
            elif len(traceback) > _CUT:  # it was cut in the middle there, and not here
                start = text.rfind(traceback[:_CUT // 2])
            if start >= 0:
                rest = text[:start] + text[end:]
                self._pieces, self._size = [rest] if rest else [], len(rest)

    def close(self) -> None:
        """Sends what waits; the caller closes the ZeroMQ context, which gives it a second to go."""
        with self._lock:
            self._flush()
            self._closed = True
            self._changed.notify_all()
            self._socket.close(linger=1000)
        self._flusher.join()

    def _wake_at(self, moment: float) -> None:
        self._due = moment
        self._changed.notify_all()

    def _flush(self) -> None:
        if self._pieces:
            text = "".join(self._pieces)
            self._pieces, self._size = [], 0
            self._last_sent = time.monotonic()
            self._send("stream", {"name": self._name, "text": text}, self._parent)

    def _send(self, kind: str, content: Dict[str, Any], parent: Dict[str, Any]) -> None:
        if not self._closed:
            self._socket.send_multipart(self._wire.pack(kind, content, parent, (kind.encode(),)))

    def _flush_in_time(self) -> None:
        with self._changed:
            while not self._closed:
                if not self._pieces:
                    self._changed.wait()
                elif (left := self._due - time.monotonic()) > 0:
                    self._changed.wait(left)
                else:
                    self._flush()
