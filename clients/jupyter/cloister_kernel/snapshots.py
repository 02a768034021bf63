"""States to go back to: a snapshot before a cell, as long as the front end is quiet for a moment, the newest few kept.

A snapshot costs a few milliseconds and the memory that the cells after it change. So it is made beside the user, a moment after
a cell has ended, and not before each cell of a notebook that is run as a whole. Thread-safe.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Dict, List

from .remote import Remote

if TYPE_CHECKING:
    import cloister

# How long after a cell's end nothing must have begun.
_QUIET = 0.25


class RewindError(Exception):
    """One English sentence or two for people."""


class Snapshots:
    def __init__(self, remote: Remote, keep: int) -> None:
        self._remote = remote
        self._keep = keep
        self._changed = threading.Condition()
        self._kept: Dict[int, cloister.Snapshot] = {}  # by the number of the cell that came next
        self._wanted: int | None = None
        self._due = 0.0
        self._refusal = ""
        self._closed = False
        self._sleeps = False
        if keep:
            threading.Thread(target=self._run, name="snapshots", daemon=True).start()

    def cell_begins(self) -> None:
        """No snapshot from here on; waits for one that is being made."""
        with self._changed:
            self._wanted = None

    def cell_ended(self, next_number: int) -> None:
        """The state is that before cell `next_number`."""
        with self._changed:
            if self._keep and not self._closed and next_number > 1:
                self._wanted, self._due = next_number, time.monotonic() + _QUIET
                if self._sleeps:  # else it wakes in time by itself: cells that follow one another do not wake it each
                    self._changed.notify_all()

    def numbers(self) -> List[int]:
        with self._changed:
            return sorted(self._kept)

    def kept_text(self) -> str:
        """What there is to go back to, for people."""
        if not self._keep:
            return "no states are kept: CLOISTER_KERNEL_SNAPSHOTS is 0"
        numbers = ", ".join(map(str, self.numbers()))
        text = f"kept are the states before cells {numbers}" if numbers else "no state is kept yet"
        text += f" (the newest {self._keep} at most, each taken when nothing has run for a moment)"
        return text + (f"; the last attempt was refused: {self._refusal}" if self._refusal else "")

    def rewind(self, number: int | None, last: int) -> int:
        """Goes on in the state before cell `number`, or before the last one that has a state. Returns its number.

        Raises:
            RewindError: no such state is kept.
            ServiceError: the server could not.
        """
        with self._changed:
            self._wanted = None
            if number is None:
                number = max((each for each in self._kept if each <= last), default=None)
            snapshot = self._kept.get(number) if number is not None else None
            if number is None or snapshot is None:
                which = "an earlier cell" if number is None else f"cell {number}"
                raise RewindError(f"the state before {which} is not kept; {self.kept_text()}")
            import cloister

            try:
                sandbox = self._remote.client.sandbox(snapshot=snapshot, **self._remote.life())
            except cloister.NotFound as error:
                del self._kept[number]
                raise RewindError(f"the state before cell {number} is gone: {error}; {self.kept_text()}") from None
            self._remote.replace(sandbox)
            self._drop([each for each in self._kept if each > number])
            return number

    def forget(self) -> None:
        """Other cells' numbers begin: nothing kept belongs to them."""
        with self._changed:
            self._wanted = None
            self._refusal = ""
            self._drop(list(self._kept))

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._drop(list(self._kept))

    def _drop(self, numbers: List[int]) -> None:
        self._remote.end_snapshots([self._kept.pop(number) for number in numbers])

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                if self._wanted is None:
                    self._sleeps = True
                    self._changed.wait()
                    self._sleeps = False
                elif (left := self._due - time.monotonic()) > 0:
                    self._changed.wait(left)
                else:
                    self._make(self._wanted)
                    self._wanted = None

    def _make(self, number: int) -> None:
        sandbox = self._remote.current
        if sandbox is None or number in self._kept:
            return
        try:
            # Room first: what the server allows is shared by all.
            self._drop(sorted(self._kept)[:max(0, len(self._kept) + 1 - self._keep)])
            snapshot = sandbox.snapshot(ttl=self._remote.snapshot_ttl())
        except Exception as error:
            self._refusal = str(error)
            return
        self._refusal = ""
        self._remote.keep_snapshot(snapshot)
        self._kept[number] = snapshot
