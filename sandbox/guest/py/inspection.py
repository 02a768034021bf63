"""Tells what is known of the name under the cursor.

The loader adds to this namespace: `load`.
"""

import linecache
import re

_WORD = re.compile(r"\w*")
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_MAX_PLAIN = 4096  # of what is shown as value


def _name_at(code, cursor):
    """The dotted name at the cursor up to the end of the word that the cursor is in or behind."""
    end = _WORD.match(code, cursor).end()
    scan = load("source_scan")["Scan"](code[:end])
    if scan.string is None and not scan.is_comment:
        name = "".join(scan.split_name())
        if name and not name.endswith("."):
            return name
    # Where no name is: the function whose arguments these are.
    return scan.called_name()


def _attempt(function, *arguments):
    try:
        return function(*arguments)
    except Exception:
        return None


def _signature(inspect, obj):
    if not callable(obj):
        return ""
    return str(_attempt(inspect.signature, obj) or "")


def _value(obj):
    if type(obj) in (str, bytes):
        return repr(obj[:_MAX_PLAIN])
    if type(obj) is int and obj.bit_length() > _MAX_PLAIN:
        return ""
    return repr(obj) if type(obj) in _PLAIN else ""


def _cell_of_class(cls):
    """The file, a cell, in which a class of __main__ is defined; modules say it themselves."""
    line = cls.__dict__.get("__firstlineno__")
    if cls.__module__ != "__main__" or type(line) is not int:
        return None
    start = re.compile(rf"\s*(@|class\s+{re.escape(cls.__name__)}\b)")
    for name, entry in reversed(list(linecache.cache.items())):
        if name.startswith("<") and len(entry) == 4 and len(entry[2]) >= line and start.match(entry[2][line - 1]):
            return name, line
    return None


def _source(inspect, obj):
    cell = _attempt(_cell_of_class, obj) if isinstance(obj, type) else None
    if cell is None:
        return _attempt(inspect.getsource, obj) or ""
    lines = linecache.getlines(cell[0])[cell[1] - 1 :]
    return "".join(_attempt(inspect.getblock, lines) or ())


def _place(inspect, obj):
    """File and line of the definition."""
    obj = _attempt(inspect.unwrap, obj) or obj
    cell = _attempt(_cell_of_class, obj) if isinstance(obj, type) else None
    if cell is not None:
        return cell
    code = getattr(getattr(obj, "__func__", obj), "__code__", None)
    if type(getattr(code, "co_filename", None)) is str:
        return code.co_filename, code.co_firstlineno
    file = _attempt(inspect.getsourcefile, obj) or ""
    lines = _attempt(inspect.getsourcelines, obj) if inspect.isclass(obj) else None
    return file, lines[1] if lines else 0


def inspect_name(code, cursor, with_source):
    """The fields of InspectResponse."""
    name = _name_at(code, cursor)
    found, obj = load("lookup")["look_up"](name) if name else (False, None)
    if not found:
        return {}
    import inspect

    file, line = _place(inspect, obj)
    fields = {
        "is_found": True,
        "name": name,
        "type_name": type(obj).__qualname__,
        "signature": _signature(inspect, obj),
        "documentation": _attempt(inspect.getdoc, obj) or "",
        "file": file,
        "line": line,
        "value": _value(obj),
    }
    if with_source:
        fields["source"] = _source(inspect, obj)
    return fields
