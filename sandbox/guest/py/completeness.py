"""Says whether code is whole, or what the next line should begin with."""

import _ast
import re
import warnings
from codeop import CommandCompiler

COMPLETE, INCOMPLETE, INVALID = 1, 2, 3  # CheckCompleteResponse.Status

_BLOCKS = (
    _ast.AsyncFor,
    _ast.AsyncFunctionDef,
    _ast.AsyncWith,
    _ast.ClassDef,
    _ast.For,
    _ast.FunctionDef,
    _ast.If,
    _ast.Match,
    _ast.Try,
    _ast.TryStar,
    _ast.While,
    _ast.With,
)
_ONLY_AST = 0x400  # ast.PyCF_ONLY_AST
_TOP_LEVEL_AWAIT = 0x2000  # ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_MAX_INDENT = 256
_ENDS_BLOCK = re.compile(r"\s*(return|raise|break|continue|pass)\b")


def _next_indent(lines):
    last = next((line for line in reversed(lines) if line.strip()), "")
    indent = len(last) - len(last.lstrip())
    if last.rstrip().endswith((":", "(", "[", "{")):
        indent += 4
    elif _ENDS_BLOCK.match(last):
        indent -= 4
    return " " * max(0, min(indent, _MAX_INDENT))


def _ends_in_block(code):
    """Whether the last statement is a block of several lines, which goes on until an empty line, as at
    Python's own prompt."""
    tree = compile(code, "<check>", "exec", _ONLY_AST | _TOP_LEVEL_AWAIT, True)
    last = tree.body[-1] if tree.body else None
    return isinstance(last, _BLOCKS) and last.end_lineno > last.lineno


def check(code):
    """Returns (status, indent)."""
    lines = code.split("\n")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compiler = CommandCompiler()
            compiler.compiler.flags |= _TOP_LEVEL_AWAIT
            whole = compiler(code, "<check>", "exec")
    except (SyntaxError, ValueError, OverflowError):
        return INVALID, ""
    if whole is None:
        return INCOMPLETE, _next_indent(lines)
    if lines[-1].strip() and _ends_in_block(code):
        return INCOMPLETE, _next_indent(lines)
    return COMPLETE, ""
