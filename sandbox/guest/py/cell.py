"""Runs cells one after another in module __main__ and keeps their history.

The loader adds to this namespace: FUTURE_FLAGS, what `from __future__ import` leaves in co_flags; `load`,
which gives the namespace of a file beside this one; `remember` and `find_function`, of program.py; `decode_clone(bytes)`.
"""

import _ast
import builtins
import sys
from _contextvars import copy_context
from types import CoroutineType as _Coroutine

# How many values and sources of cells are kept.
MAX_OUTPUTS = 1000
MAX_INPUTS = 1000

_ONLY_AST = 0x400  # ast.PyCF_ONLY_AST
_TOP_LEVEL_AWAIT = 0x2000  # ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_COROUTINE = 0x80  # inspect.CO_COROUTINE

_CLOSING = frozenset(b")]}")
_UNCOUNTABLE = frozenset(b"#'\"")  # what stands behind them may be no brackets
_PAIRS = (b"()", b"[]", b"{}")

_names = {}
_context = None
_cell = None  # the context variable that holds the cell's number
_future_flags = 0
_inputs = [""]
_outputs = {}
_recent = ["", "", ""]  # what `_`, `__` and `___` were set to
_running = ()
_is_calling = False


def open_session(cell_variable):
    """Before the first cell."""
    global _cell, _context, _names
    _cell = cell_variable
    _context = copy_context()
    _names = sys.modules["__main__"].__dict__
    _names.update(In=_inputs, Out=_outputs, _="", __="", ___="")
    builtins.display = _display
    load("imports")["watch"]()


def session_names():
    """The namespace of module __main__, whatever has become of the module."""
    return _names


def _display(*objects, **options):
    """Show objects in the richest form there is; `from cloister import display` is the same."""
    from cloister import display

    return display(*objects, **options)


def _may_close(line):
    """Whether a line may close a bracket that an earlier one opened."""
    if _CLOSING.isdisjoint(line):
        return False
    return not _UNCOUNTABLE.isdisjoint(line) or any(line.count(a) != line.count(b) for a, b in _PAIRS)


def _may_end_in_expression(source):
    """Whether the last statement may be one. A tree tells, but building it and taking it apart is a
    third of the work of a small cell, and there is none where the last line alone shows that it
    assigns something or belongs to a block."""
    if b"\\" in source or b"'''" in source or b'"""' in source or b"\f" in source or b"coding" in source:
        return True  # lines may belong together, or not be what they seem
    text = source.rstrip()
    start = text.rfind(b"\n") + 1
    line = text[start:]
    if b";" in line or b"\r" in line or (start and _may_close(line)):
        return True
    if line[:1] in b" \t":
        return line.lstrip()[:1] == b"#"
    target, equals, value = line.partition(b"=")
    target = target.rstrip(b" \t+-*/%&|^@").replace(b"_", b"a").replace(b".", b"a")
    return not equals or value[:1] == b"=" or not target.isalnum()


def _parse(source, file_name, splits):
    """Returns the code of the cell and of its last expression, each or None."""
    global _future_flags
    flags = _TOP_LEVEL_AWAIT | _future_flags
    if not splits or not _may_end_in_expression(source):
        code = compile(source, file_name, "exec", flags, True)
        _future_flags |= code.co_flags & FUTURE_FLAGS
        return code, None
    tree = compile(source, file_name, "exec", flags | _ONLY_AST, True)
    expression = None
    if tree.body and type(tree.body[-1]) is _ast.Expr:
        expression = _ast.Expression(tree.body.pop().value)
    code = None
    if tree.body:
        code = compile(tree, file_name, "exec", flags, True)
        _future_flags |= code.co_flags & FUTURE_FLAGS
    if expression is not None:
        expression = compile(expression, file_name, "eval", _TOP_LEVEL_AWAIT | _future_flags, True)
    return code, expression


def _record_input(count, source):
    while len(_inputs) <= count:
        _inputs.append("")
    _inputs[count] = source
    if count > MAX_INPUTS:
        _inputs[count - MAX_INPUTS] = ""


def _record_output(count, value):
    if value is _outputs:
        return
    _outputs[count] = value
    if len(_outputs) > MAX_OUTPUTS:
        del _outputs[next(iter(_outputs))]
    if _names.get("_", _recent[0]) is not _recent[0]:
        return  # the user has a use of his own for it
    _recent[:] = value, _recent[0], _recent[1]
    _names["_"], _names["__"], _names["___"] = _recent


async def _run_in_loop(code, expression):
    value = None
    for part in (code, expression):
        if part is not None:
            value = eval(part, _names)
            if part.co_flags & _COROUTINE:
                value = await value
    return value


def _run(code, expression):
    if any(part is not None and part.co_flags & _COROUTINE for part in (code, expression)):
        return load("event_loop")["run"](_run_in_loop(code, expression), _context)
    if code is not None:
        _context.run(exec, code, _names)
    if expression is not None:
        return _context.run(eval, expression, _names)
    return None


def _call(function, arguments, keywords):
    """Calls a function as Program.call says. Its arguments are decoded here, after the code, which may have
    made their classes."""
    global _is_calling, _running
    callee = find_function(function, _names)
    _running += (getattr(callee, "__code__", None),)
    args = decode_clone(arguments) if arguments else ()
    kwargs = decode_clone(keywords) if keywords else {}
    _is_calling = True
    value = _context.run(callee, *args, **kwargs)
    if type(value) is _Coroutine:
        value = load("event_loop")["run"](value, _context)
    return value


def _flush(figures):
    try:
        figures.flush()
    except Exception as exc:
        load("mime")["show_error"](exc)


def run(source, file_name, cell, count, makes_value, call):
    """Returns the value of the cell's last expression, None where it has none or ends with a semicolon; or
    that of a call, where `call` are the arguments of _call() and not None. `count` is 0 for a cell that
    leaves no history."""
    global _is_calling, _running
    _running = ()
    _is_calling = False
    _context.run(_cell.set, cell)
    if count:
        _record_input(count, source.decode("utf-8", "replace"))
    code, expression = _parse(source, file_name, count or makes_value)
    remember(source, file_name)
    _running = (code, expression)
    try:
        value = _run(code, expression)
        if call is not None:
            value = _call(*call)
    finally:
        figures = sys.modules.get("cloister.figures")
        if figures is not None:
            _context.run(_flush, figures)
    if value is None or (call is None and source[-64:].rstrip().endswith(b";")):
        return None
    if count:
        _record_output(count, value)
    return value


# ---- tracebacks ----------------------------------------------------------------------------------------

_traceback_of = BaseException.__traceback__.__get__
_set_traceback = BaseException.__traceback__.__set__
_context_of = BaseException.__context__.__get__
_MAX_CHAIN = 16


def _is_ours(entry):
    return entry.tb_frame.f_code.co_filename.startswith("<cloister ")


def _without_ours(traceback):
    """From the cell's own code on, and without what of ours it called."""
    entries = []
    while traceback is not None:
        entries.append(traceback)
        traceback = traceback.tb_next
    for index, entry in enumerate(entries):
        if entry.tb_frame.f_code in _running:
            del entries[:index]
            break
    else:
        if entries and _is_ours(entries[0]) and not _is_calling:
            entries = []
    kept = [entry for entry in entries if not _is_ours(entry)]
    if len(kept) == len(entries):
        return entries[0] if entries else None
    traceback = None
    for entry in reversed(kept):
        traceback = type(entry)(traceback, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return traceback


def trim(exc):
    """Takes our frames out of an exception that came from run()."""
    for _ in range(_MAX_CHAIN):
        if exc is None:
            return
        _set_traceback(exc, _without_ours(_traceback_of(exc)))
        exc = _context_of(exc)
