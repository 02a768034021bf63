"""Says how a program ended: shows an exception as Python would and describes it as data.

Everything here runs after hostile code, in its interpreter. What is needed of the interpreter is bound
before that code starts, builtins included (the loader gives this file a copy of them); attributes of
exceptions are read past overriding classes; and where a user's method raises, the report says less.
Descriptions are dicts with the names of the fields of Finished and Exception; the caller bounds the
length of strings.
"""

import sys
from itertools import islice as _islice
from linecache import getline as _getline
from traceback import TracebackException as _TracebackException

MAX_DEPTH = 16
MAX_FRAMES = 64
# Of one report in all, so that wide exception groups stay within what the host reads.
MAX_EXCEPTIONS = 64
MAX_NOTES = 16
# An exception's own text is cut to this on stderr, where it would else use up the output limit.
MAX_SHOWN_TEXT = 1 << 16

RAISED, EXITED = 2, 3  # Finished.Kind

_default_hook = sys.excepthook
_cause_of = BaseException.__cause__.__get__
_context_of = BaseException.__context__.__get__
_is_suppressed = BaseException.__suppress_context__.__get__
_traceback_of = BaseException.__traceback__.__get__
_members_of = BaseExceptionGroup.exceptions.__get__
_qualified_name_of = type.__dict__["__qualname__"].__get__
_module_of = type.__dict__["__module__"].__get__


def _exact(text):
    """The same text as a plain str, whatever class it was."""
    return "".join((text,))


def _type_name(cls):
    try:
        return _exact(_qualified_name_of(cls))
    except BaseException:
        return "?"


def _module_name(cls):
    try:
        return _exact(_module_of(cls))
    except BaseException:
        return "?"


def _message(exc):
    try:
        return _exact(str(exc))
    except BaseException:
        return f"<unprintable {_type_name(type(exc))} object>"


def _notes(exc):
    try:
        notes = exc.__notes__
    except BaseException:
        return []
    if type(notes) not in (list, tuple):
        notes = [notes]
    texts = []
    for note in notes[:MAX_NOTES]:
        try:
            texts.append(_exact(note if isinstance(note, str) else repr(note)))
        except BaseException:
            texts.append("<unprintable note>")
    return texts


def _source_line(file_name, line):
    try:
        return _exact(_getline(file_name, line)).rstrip("\n")
    except BaseException:  # linecache is the user's to change
        return ""


def _columns(code, instruction, line, source_line):
    """Byte columns of the failing part within its line; both 0 where unknown."""
    start, end, column, end_column = next(
        _islice(code.co_positions(), instruction // 2, None), (None, None, None, None)
    )
    if start != line or column is None or end_column is None:
        return 0, 0
    if end != start:  # goes on below
        end_column = len(source_line.encode(errors="replace"))
    return column, end_column


def _frame(traceback):
    code = traceback.tb_frame.f_code
    line = traceback.tb_lineno or 0
    source_line = _source_line(code.co_filename, line)
    column, end_column = _columns(code, traceback.tb_lasti, line, source_line)
    return {
        "file": code.co_filename,
        "line": line,
        "function": code.co_qualname,
        "source_line": source_line.strip(),
        "column": column,
        "end_column": end_column,
    }


def _frames(traceback):
    """The first and the last frames, and how many are missing between them."""
    entries = []
    while traceback is not None:
        entries.append(traceback)
        traceback = traceback.tb_next
    omitted = max(0, len(entries) - MAX_FRAMES)
    if omitted:
        entries[MAX_FRAMES // 2 : -MAX_FRAMES // 2] = []
    return [_frame(entry) for entry in entries], omitted


def _syntax_error_place(exc):
    """Where the source is wrong, as one more frame; the fields are the user's to set."""
    try:
        line = exc.lineno if type(exc.lineno) is int and 0 < exc.lineno < 1 << 31 else 0
        source = _exact(exc.text or "").rstrip("\n")
        column = max(0, (exc.offset or 0) - 1)
        end_column = max(0, (exc.end_offset or 0) - 1)
        if exc.end_lineno not in (None, line) or end_column < column:
            end_column = len(source)
        return {
            "file": _exact(exc.filename or ""),
            "line": line,
            "source_line": source.strip(),
            # The exception counts characters.
            "column": len(source[:column].encode(errors="replace")),
            "end_column": len(source[:end_column].encode(errors="replace")),
        }
    except BaseException:
        return None


class _Description:
    """Describes one exception with all that hangs on it; bounded, and safe against cycles."""

    def __init__(self):
        self._seen = set()

    def of(self, exc, depth=1):
        self._seen.add(id(exc))
        frames, omitted = _frames(_traceback_of(exc))
        fields = {
            "type": _type_name(type(exc)),
            "module": _module_name(type(exc)),
            "message": _message(exc),
            "notes": _notes(exc),
            "frames": frames,
            "omitted_frame_count": omitted,
        }
        if issubclass(type(exc), SyntaxError):
            place = _syntax_error_place(exc)
            if place is not None:
                frames.append(place)
        left_out = 0
        cause = _cause_of(exc)
        if cause is not None:
            left_out += self._add(fields, "cause", cause, depth)
        elif not _is_suppressed(exc) and _context_of(exc) is not None:
            left_out += self._add(fields, "context", _context_of(exc), depth)
        if issubclass(type(exc), BaseExceptionGroup):
            left_out += self._add_members(fields, _members_of(exc), depth)
        if left_out:
            fields["omitted_exception_count"] = left_out
        return fields

    def _fits(self, exc, depth):
        return depth < MAX_DEPTH and len(self._seen) < MAX_EXCEPTIONS and id(exc) not in self._seen

    def _add(self, fields, name, exc, depth):
        """Returns how many exceptions were left out. One met before was not: it is described there."""
        if self._fits(exc, depth):
            fields[name] = self.of(exc, depth + 1)
            return 0
        return id(exc) not in self._seen

    def _add_members(self, fields, members, depth):
        fields["exceptions"] = []
        left_out = 0
        for member in members:
            if self._fits(member, depth):
                fields["exceptions"].append(self.of(member, depth + 1))
            else:
                left_out += id(member) not in self._seen
        return left_out


def _shorten(formatted):
    """Bounds the texts of a TracebackException and of what hangs on it."""
    pending, seen = [formatted], set()
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        text = one._str
        if len(text) > MAX_SHOWN_TEXT:
            half = MAX_SHOWN_TEXT // 2
            one._str = f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"
        pending += (one.__cause__, one.__context__, *(one.exceptions or ()))


def _format(exc, description):
    """The text `python main.py` would show."""
    try:
        formatted = _TracebackException(type(exc), exc, _traceback_of(exc), compact=True)
        _shorten(formatted)
        return _exact("".join(formatted.format()))
    except BaseException:
        pass
    # The user broke the module, or there is no memory for it: from what is known already.
    lines = ["Traceback (most recent call last):\n"]
    for frame in description["frames"]:
        lines.append(f'  File "{frame["file"]}", line {frame["line"]}, in {frame.get("function", "?")}\n')
        if frame["source_line"]:
            lines.append(f"    {frame['source_line']}\n")
    lines.append(f"{description['type']}: {description['message'][:MAX_SHOWN_TEXT]}\n")
    return "".join(lines)


def _write_error(text):
    """To sys.stderr, whatever the program has made of it."""
    try:
        stream = sys.stderr
        if stream is not None:
            stream.write(text)
            stream.flush()
    except BaseException:
        pass


def _exited(exc):
    """The exit status of SystemExit, as Python does it."""
    try:
        code = exc.code
    except BaseException:
        code = 1
    if code is None:
        return {"kind": EXITED, "exit_code": 0}
    if isinstance(code, int):
        # What does not fit into a C long becomes -1.
        code = int.__int__(code)
        return {"kind": EXITED, "exit_code": code & 0xFF if -(1 << 63) <= code < 1 << 63 else 0xFF}
    try:
        _write_error(_exact(str(code)) + "\n")
    except BaseException:
        pass
    return {"kind": EXITED, "exit_code": 1}


def _raised(exc):
    description = _Description().of(exc)
    description["traceback"] = _format(exc, description)
    return {"kind": RAISED, "exception": description}


def traceback_text(exc):
    """The text Python would show, without frames of ours on the way to the user's."""
    traceback = _traceback_of(exc)
    while traceback is not None and traceback.tb_frame.f_code.co_filename.startswith("<cloister "):
        traceback = traceback.tb_next
    exc = exc.with_traceback(traceback)
    return _raised(exc)["exception"]["traceback"]


def _show(exc, text):
    """Calls sys.excepthook. Returns the report of a hook that exits, else None."""
    hook = getattr(sys, "excepthook", None)
    if hook is _default_hook:
        _write_error(text)
        return None
    if hook is None:
        _write_error("sys.excepthook is missing\n" + text)
        return None
    try:
        hook(type(exc), exc, _traceback_of(exc))
    except SystemExit as second:
        return _exited(second)
    except BaseException as second:
        second.__traceback__ = _traceback_of(second).tb_next  # without this function
        second.__context__ = None
        second_text = _raised(second)["exception"]["traceback"]
        _write_error(f"Error in sys.excepthook:\n{second_text}\nOriginal exception was:\n{text}")
    return None


def report(exc, show=True):
    """The fields of Finished for the exception that reached the top."""
    if issubclass(type(exc), SystemExit):
        return _exited(exc)
    raised = _raised(exc)
    if show:
        return _show(exc, raised["exception"]["traceback"]) or raised
    return raised
