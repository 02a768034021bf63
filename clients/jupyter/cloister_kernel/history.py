"""What was run, for history_request. Of this kernel only, in memory, bounded."""

from __future__ import annotations

import collections
import fnmatch
from typing import Any, Deque, Dict, List, Tuple

_MAX_CELLS = 1000
_MAX_CHARACTERS = 4 << 20
_SESSION = 1

Entry = Tuple[int, str, str | None]  # number, code, text of the value


class History:
    def __init__(self) -> None:
        self._entries: Deque[Entry] = collections.deque()
        self._size = 0

    def add(self, number: int, code: str, value: str | None) -> None:
        self._entries.append((number, code, value))
        self._size += len(code) + len(value or "")
        while len(self._entries) > _MAX_CELLS or (self._size > _MAX_CHARACTERS and len(self._entries) > 1):
            _, code, value = self._entries.popleft()
            self._size -= len(code) + len(value or "")

    def answer(self, request: Dict[str, Any]) -> List[Any]:
        """Entries [session, number, code] or, with `output`, [session, number, [code, value]]."""
        kind = request.get("hist_access_type", "tail")
        count = request.get("n")
        if kind == "range":
            found = self._range(request)
        elif kind == "search":
            found = self._search(str(request.get("pattern") or "*"), bool(request.get("unique")))
        else:
            found = list(self._entries)
        if kind != "range" and isinstance(count, int):
            found = found[-count:] if count > 0 else []
        output = bool(request.get("output"))
        return [(_SESSION, number, (code, value) if output else code) for number, code, value in found]

    def _range(self, request: Dict[str, Any]) -> List[Entry]:
        if request.get("session") not in (None, 0, _SESSION):
            return []
        start, stop = request.get("start") or 0, request.get("stop")
        return [entry for entry in self._entries if start <= entry[0] and (stop is None or entry[0] < stop)]

    def _search(self, pattern: str, unique: bool) -> List[Entry]:
        found = [entry for entry in self._entries if fnmatch.fnmatchcase(entry[1], pattern)]
        if unique:
            found = list({code: (number, code, value) for number, code, value in found}.values())
        return found
