"""The way to a value inside another, as errors name it: ``$.users[3].socket``.

Kept as a chain of steps towards the root, and written out only for an error.
"""

from __future__ import annotations

import enum
from typing import Any, Callable, Dict, Optional, Tuple

_LONGEST_KEY = 64


class Step(enum.Enum):
    ITEM = enum.auto()  # of a list or tuple: a number
    ENTRY = enum.auto()  # of a dict: its key
    KEY = enum.auto()  # a key itself: its number
    MEMBER = enum.auto()  # of a set: a number
    ATTRIBUTE = enum.auto()  # a name


# (the way so far, kind of the step, number or key or name); None at the root.
Path = Optional[Tuple[Any, Step, Any]]


def describe(path: Path) -> str:
    """The way as text. Runs no code of users: of keys only plain ones are shown."""
    steps = []
    while path is not None:
        path, kind, what = path
        steps.append(_STEPS[kind](what))
    return "$" + "".join(reversed(steps))


def _entry(key: Any) -> str:
    if type(key) is str and key.isidentifier():
        return f".{key}"
    if type(key) in (str, bytes, int, float, bool, type(None)):
        text = repr(key[:_LONGEST_KEY]) if type(key) in (str, bytes) else repr(key)
        return f"[{text[:_LONGEST_KEY]}]"
    return f"[<{type(key).__name__}>]"


_STEPS: Dict[Step, Callable[[Any], str]] = {
    Step.ITEM: lambda index: f"[{index}]",
    Step.ENTRY: _entry,
    Step.KEY: lambda index: f".keys()[{index}]",
    Step.MEMBER: lambda index: f"{{{index}}}",
    Step.ATTRIBUTE: lambda name: f".{name}",
}
