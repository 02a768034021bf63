"""Keeps the sandbox as long as the kernel lives, and the kernel no longer than the front end that started it."""

from __future__ import annotations

import os
import select
import threading
from typing import Callable

from .remote import Remote


class Keeper:
    """A thread that extends the sandbox's lease, and calls `orphaned` when the parent process has ended."""

    def __init__(self, remote: Remote, lease: float, stop_descriptor: int, orphaned: Callable[[], None]) -> None:
        self._remote = remote
        self._interval = max(1.0, lease / 3)
        self._stop = stop_descriptor
        self._orphaned = orphaned
        self._parent = _parent_descriptor()
        threading.Thread(target=self._run, name="keeper", daemon=True).start()

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._stop, select.POLLIN)
        if self._parent is not None:
            poll.register(self._parent, select.POLLIN)
        while True:
            ready = [descriptor for descriptor, _ in poll.poll(self._interval * 1000)]
            if self._stop in ready:
                return
            if ready:
                self._orphaned()
                return
            try:
                self._remote.renew()
            except Exception:
                pass  # the server is away, or the sandbox is gone: the next cell tells


def _parent_descriptor() -> int | None:
    """A pidfd of the front end, where one of Jupyter's started us."""
    parent = os.environ.get("JPY_PARENT_PID", "")
    if not parent.isdecimal() or int(parent) != os.getppid() or not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(int(parent))
    except OSError:
        return None
