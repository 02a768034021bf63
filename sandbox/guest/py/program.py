"""Turns the source of a program into code objects.

The loader adds to this namespace: FUTURE_FLAGS, what `from __future__ import` leaves in co_flags.
"""

import _ast
import builtins
import linecache
import sys
from importlib.util import decode_source

# Of so many cells tracebacks can show lines; a live interpreter may run millions.
_MAX_CELLS = 1000

_cells = []
_ONLY_AST = 0x400  # ast.PyCF_ONLY_AST; importing ast would cost every clone memory


def _decode(source):
    # A declared encoding is rare, and only that needs the tokenizer.
    if b"coding" in b"".join(source.split(b"\n", 2)[:2]):
        return decode_source(source)
    return source.decode("utf-8-sig")


def remember(source, file_name):
    """Lets tracebacks and `inspect` show source lines, though there is no such file."""
    text = _decode(source)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = [line + "\n" for line in text.split("\n")]
    # No time of modification: nothing to compare a file with.
    entry = (len(source), None, lines, file_name)
    if type(linecache.cache) is not dict:  # a cell of before has put something else there
        linecache.cache = {}
    linecache.cache[file_name] = entry
    if file_name[:1] == "<":
        _forget_old_cells(file_name)


def _forget_old_cells(file_name):
    _cells.append(file_name)
    if len(_cells) >= 2 * _MAX_CELLS:
        for old in _cells[:_MAX_CELLS]:
            linecache.cache.pop(old, None)
        del _cells[:_MAX_CELLS]


def find_function(text, names):
    """What FunctionCall.function means, with `names` as those of module __main__."""
    module, has_module, path = text.rpartition(":")
    first, *rest = path.split(".")
    if has_module:
        __import__(module)  # which keeps its own frames out of tracebacks
        found = sys.modules[module]
        rest.insert(0, first)
    elif first in names:
        found = names[first]
    elif hasattr(builtins, first):
        found = getattr(builtins, first)
    else:
        raise NameError(f"name {first!r} is not defined; what is imported is called as 'module:name'")
    for name in rest:
        found = getattr(found, name)
    if not callable(found):
        raise TypeError(f"{text!r} is not callable")
    return found


def compile_program(source, file_name, wants_value):
    """Returns (code, expression): `expression` is the last statement where its value is wanted and it
    has one, else None. Raises what compiling a file would."""
    if not wants_value:
        code = compile(source, file_name, "exec", 0, True)
        remember(source, file_name)
        return code, None
    tree = compile(source, file_name, "exec", _ONLY_AST, True)
    remember(source, file_name)
    expression = None
    if tree.body and type(tree.body[-1]) is _ast.Expr:
        expression = _ast.Expression(tree.body.pop().value)
    code = compile(tree, file_name, "exec", 0, True)
    if expression is not None:
        expression = compile(expression, file_name, "eval", code.co_flags & FUTURE_FLAGS, True)
    return code, expression
