"""Completion, inspection and completeness of code, as Jupyter asks and wants them answered.

Where the sandbox cannot tell (none there, the look-up raised), there is nothing found: a front end has no use for the reason.
"""

from __future__ import annotations

from typing import Any, Dict

from .magics import MAGICS, is_magic
from .remote import Remote


def _position(content: Dict[str, Any], code: str) -> int:
    position = content.get("cursor_pos")
    return len(code) if not isinstance(position, int) else max(0, min(position, len(code)))


def complete(remote: Remote, content: Dict[str, Any]) -> Dict[str, Any]:
    code = str(content.get("code", ""))
    cursor = _position(content, code)
    word = code[:cursor].rpartition("\n")[2]
    if word.startswith("%") and " " not in word:
        matches = [f"%{name}" for name in MAGICS if f"%{name}".startswith(word)]
        return _matches(matches, cursor - len(word), cursor, [])
    sandbox = remote.current
    found = sandbox.complete(code, cursor) if sandbox is not None else []
    if not found:
        return _matches([], cursor, cursor, [])
    types = [{"start": each.start, "end": each.end, "text": each.text, "type": each.kind} for each in found]
    return _matches([each.text for each in found], found[0].start, found[0].end, types)


def nothing_to_complete(content: Dict[str, Any]) -> Dict[str, Any]:
    cursor = _position(content, str(content.get("code", "")))
    return _matches([], cursor, cursor, [])


def _matches(matches: Any, start: int, end: int, types: Any) -> Dict[str, Any]:
    metadata = {"_jupyter_types_experimental": types} if types else {}
    return {"status": "ok", "matches": matches, "cursor_start": start, "cursor_end": end, "metadata": metadata}


def inspect(remote: Remote, content: Dict[str, Any]) -> Dict[str, Any]:
    code = str(content.get("code", ""))
    text = describe(remote, code, _position(content, code), content.get("detail_level") == 1)
    return {"status": "ok", "found": bool(text), "data": {"text/plain": text} if text else {}, "metadata": {}}


def describe(remote: Remote, code: str, cursor: int, with_source: bool) -> str:
    """What is known of the name at the cursor, as text for people; empty where nothing is."""
    sandbox = remote.current
    found = sandbox.inspect(code, cursor, with_source=with_source) if sandbox is not None else None
    if found is None or not found.is_found:
        return ""
    place = f"{found.file}, line {found.line}" if found.line else found.file
    rows = [("Signature", found.name.rpartition(".")[2] + found.signature if found.signature else ""), ("Type", found.type_name),
            ("Value", found.value), ("File", place)]
    parts = [f"{title + ':':<11}{text}" for title, text in rows if text]
    parts += [f"{title}:\n{text}" for title, text in (("Docstring", found.documentation), ("Source", found.source)) if text]
    return "\n".join(parts)


def is_complete(remote: Remote, content: Dict[str, Any]) -> Dict[str, Any]:
    code = str(content.get("code", ""))
    sandbox = remote.current
    if is_magic(code) and "\n" not in code:
        return {"status": "complete"}
    if sandbox is None:
        return {"status": "unknown"}
    checked = sandbox.check_complete(code)
    answer = {"status": checked.status if checked.status in ("complete", "incomplete", "invalid") else "unknown"}
    if checked.status == "incomplete":
        answer["indent"] = checked.indent
    return answer
