"""Ends what a kernel leaves in the server when it is killed.

A front end may kill a kernel at any time and with everything in its process group. So a fork of it, made before it has threads
or connections and in a session of its own, waits on a pipe: it is told the names of what there is, and when the pipe ends
without their having been taken back, it deletes them. Until then it does nothing and has imported nothing.
"""

from __future__ import annotations

import os
import threading
from typing import Set

from .settings import Settings

_ATTEMPTS = 5


class Reaper:
    """The kernel's end of the pipe. Thread-safe."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    @classmethod
    def start(cls, settings: Settings) -> Reaper:
        reader, writer = os.pipe()
        if os.fork() == 0:
            try:
                os.close(writer)
                _watch(reader, settings.server)
            finally:
                os._exit(0)
        os.close(reader)
        return cls(writer)

    def add(self, name: str) -> None:
        """`sandboxes/...` or `snapshots/...`, to be deleted should this process end without remove()."""
        self._tell(f"+{name}\n")

    def remove(self, name: str) -> None:
        self._tell(f"-{name}\n")

    def _tell(self, line: str) -> None:
        try:
            with self._lock:
                os.write(self._pipe, line.encode())  # shorter than PIPE_BUF: whole
        except OSError:
            pass  # it was killed; the sandbox's lease ends it


def _watch(pipe: int, server: str) -> None:
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.chdir("/")
    names: Set[str] = set()
    with os.fdopen(pipe, encoding="utf-8") as lines:
        for line in lines:
            (names.add if line[0] == "+" else names.discard)(line[1:].rstrip("\n"))
    if names:
        _delete(names, server)


def _delete(names: Set[str], server: str) -> None:
    import time

    import cloister

    client = cloister.Client(server or None, timeout=10)
    for attempt in range(_ATTEMPTS):
        for name in sorted(names):
            try:
                if name.startswith("snapshots/"):
                    client.open_snapshot(name).delete()
                else:
                    client.open_sandbox(name).delete(missing_ok=True)
                names.discard(name)
            except cloister.NotFound:
                names.discard(name)
            except cloister.ServiceError:
                pass
        if not names:
            return
        time.sleep(2.0 ** attempt)  # a server that is restarted; there is nothing to wait on
