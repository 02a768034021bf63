"""Finds what a dotted name means, with no more of the user's code run than looking attributes up does.

The loader adds to this namespace: `load`.
"""

import builtins

_MISSING = object()


def main_names():
    return load("cell")["session_names"]()


def look_up(name):
    """Returns (found, object)."""
    first, *attributes = name.split(".")
    names = main_names()
    obj = names.get(first, _MISSING)
    if obj is _MISSING:
        obj = getattr(builtins, first, _MISSING)
    for attribute in attributes:
        if obj is _MISSING:
            break
        try:
            obj = getattr(obj, attribute, _MISSING)
        except Exception:
            obj = _MISSING
    return (False, None) if obj is _MISSING else (True, obj)


def static_attribute(obj, name):
    """An attribute as it lies there: a property itself, not what it gives. None where unknown."""
    for place in (obj, *type(obj).__mro__):
        try:
            names = object.__getattribute__(place, "__dict__")
            if name in names:
                return names[name]
        except Exception:
            continue
    return None
