"""The cell that runs now, for those who want it to end. Thread-safe."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import cloister


class RunningCell:
    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._lock = threading.RLock()  # signal handlers come in between
        self._is_open = False
        self._execution: cloister.Execution | None = None
        self._has_started = False
        self._is_wanted_to_end = False
        self._is_stopped = False

    def open(self) -> None:
        """A cell is there, though the server may not know it yet: an interrupt from here on is meant for it."""
        with self._lock:
            self._is_open, self._is_wanted_to_end, self._has_started = True, False, False

    def follow(self, execution: cloister.Execution) -> None:
        with self._lock:
            self._execution = execution
            if self._is_stopped:
                execution.cancel()

    def started(self) -> None:
        with self._lock:
            self._has_started = True
            wanted = self._is_wanted_to_end
        if wanted:
            self._interrupt()

    def close(self) -> None:
        with self._lock:
            self._is_open, self._execution, self._has_started = False, None, False

    def interrupt(self) -> None:
        """KeyboardInterrupt in the cell, if there is one. Returns at once."""
        with self._lock:
            if not self._is_open:
                return
            self._is_wanted_to_end = True
            started = self._has_started
        if started:
            self._interrupt()

    def stop(self) -> None:
        """Ends it and all that follow; the kernel ends."""
        with self._lock:
            self._is_stopped = True
            if self._execution is not None:
                self._execution.cancel()

    @property
    def is_stopped(self) -> bool:
        return self._is_stopped

    def _interrupt(self) -> None:
        # The call returns when the program has ended, which may take the whole grace time.
        threading.Thread(target=self._interrupt_now, args=(self._execution,), name="interrupt", daemon=True).start()

    def _interrupt_now(self, execution: cloister.Execution | None) -> None:
        try:
            if execution is not None:
                execution.interrupt(self._grace)
        except Exception as error:  # the cell's own end tells what became of it
            print(f"cloister_kernel: interrupt: {error}", file=sys.stderr)
