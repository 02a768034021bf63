"""Lines at the top of a cell that are for the kernel and not for Python: %fork, %rewind and the like."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Callable, Dict, List, Tuple

from .remote import Remote
from .settings import CELL_LIMITS, LIMITS, SettingsError, parse_limits, parse_time
from .snapshots import RewindError, Snapshots

_MAGIC = re.compile(r"[ \t]*%(%?)([A-Za-z_]\w*)?[ \t]*(.*)")
_QUESTION = re.compile(r"[ \t]*(?:(\?\??)[ \t]*([\w.]+)|([\w.]+)[ \t]*(\?\??))[ \t;]*")
_FORK_TTL = 3600.0


class MagicError(Exception):
    """One English sentence or two for people."""


@dataclass
class Notebook:
    """What magics work on. `number` is that of the last cell."""

    remote: Remote
    snapshots: Snapshots
    number: int


def is_magic(code: str) -> bool:
    return code.lstrip().startswith(("%", "!")) or _QUESTION.fullmatch(code.strip()) is not None


def split(code: str) -> Tuple[List[Tuple[str, str]], str]:
    """The magics that a cell begins with, by name and argument, and the code behind them, at its own lines.

    Raises MagicError.
    """
    lines = code.split("\n")
    magics: List[Tuple[str, str]] = []
    for index, line in enumerate(lines):
        text = line.strip()
        if text.startswith("!"):
            raise MagicError("there is no shell in a sandbox; `subprocess` works where its template allows processes")
        if not text.startswith("%"):
            if text:
                break
            continue
        match = _MAGIC.fullmatch(line)
        if match is None or match[1] or not match[2] or match[2] not in MAGICS:
            name = text.split()[0]
            raise MagicError(f"there is no magic {name}; this kernel has {', '.join(f'%{each}' for each in MAGICS)}, each at the "
                             "top of a cell. It is not IPython: what runs in the sandbox is plain Python")
        magics.append((match[2], match[3].strip()))
        lines[index] = ""
    rest = "\n".join(lines)
    return magics, rest if rest.strip() else ""


def question(code: str) -> Tuple[str, bool] | None:
    """For `name?` and `name??`: the name, and whether the source is wanted."""
    match = _QUESTION.fullmatch(code.strip())
    if match is None:
        return None
    return (match[2] or match[3]), (match[1] or match[4]) == "??"


def run(name: str, argument: str, notebook: Notebook) -> str:
    """What it says. Raises MagicError and ServiceError."""
    try:
        return MAGICS[name](argument, notebook)
    except (SettingsError, RewindError) as error:
        raise MagicError(str(error)) from None


def _fork(argument: str, notebook: Notebook) -> str:
    """%fork [TTL]: a copy of the sandbox, which lives TTL (1h) whatever becomes of this notebook"""
    life = notebook.remote.life()
    bounds = notebook.remote.info.message.live_sandboxes
    ttl = parse_time(argument) if argument else min(_FORK_TTL, bounds.maximum_ttl.ToTimedelta().total_seconds())
    fork = notebook.remote.sandbox().fork(ttl=ttl, idle_timeout=min(ttl, life["idle_timeout"]))
    return (f"{fork.name}\n"
            f"a copy of this notebook's sandbox, apart from now on; it ends in {ttl:g} s. Another notebook takes it over with\n"
            f"    %attach {fork.name}\n"
            f"and a program uses it with client.open_sandbox({fork.name!r}).\n")


def _attach(argument: str, notebook: Notebook) -> str:
    """%attach NAME: go on in that sandbox; the one before is ended, and this one with the kernel"""
    if not argument.startswith("sandboxes/"):
        raise MagicError("%attach needs the name of a sandbox, as %fork says it: sandboxes/...")
    import cloister

    try:
        sandbox = notebook.remote.client.open_sandbox(argument)
        info = sandbox.update(**notebook.remote.life())
    except cloister.NotFound as error:  # which is not the one we have
        raise MagicError(f"{error}; this notebook goes on in its own sandbox") from None
    notebook.snapshots.forget()
    notebook.remote.replace(sandbox)
    notebook.number = info.execution_count
    return f"this notebook goes on in {argument}; its variables are those from there\n"


def _rewind(argument: str, notebook: Notebook) -> str:
    """%rewind [N]: variables and files as they were before cell N, or before the last cell; %rewind list says what is kept"""
    if argument == "list":
        return notebook.snapshots.kept_text() + "\n"
    if argument and not argument.isdecimal():
        raise MagicError("%rewind takes the number of a cell, nothing for the last one, or `list`")
    number = notebook.snapshots.rewind(int(argument) if argument else None, notebook.number)
    notebook.number = number - 1
    return f"variables and files are as they were before cell {number}\n"


def _limits(argument: str, notebook: Notebook) -> str:
    """%limits [NAME=VALUE...]: what bounds the sandbox and its cells; with values, change it: %limits wall=1h memory=1G"""
    remote = notebook.remote
    sandbox = remote.sandbox()
    if argument:
        wanted = dict(parse_limits(argument))
        for name, value in wanted.items():
            maximum = getattr(remote.info.maximum_limits, name)
            if maximum is not None and value > maximum:
                raise MagicError(f"{name} may be {maximum:,g} at most on this server, not {value:,g}")
        of_sandbox = {name: value for name, value in wanted.items() if name not in CELL_LIMITS}
        if of_sandbox:
            import cloister

            # They are fixed when a sandbox is made: so go on in a copy.
            sandbox = sandbox.fork(limits=cloister.Limits(**of_sandbox), **remote.life())
            remote.replace(sandbox)
        remote.limits.update(wanted)
    info = sandbox.info()
    lines = [f"{'limit':<17}{'in force':>16}{'at most':>16}"]
    for name in LIMITS:
        value = remote.limits.get(name) if name in CELL_LIMITS else getattr(info.limits, name)
        shown = [f"{each:,g}" if each is not None and each < 1e6 else f"{each or 0:,.0f}"
                 for each in (value, getattr(remote.info.maximum_limits, name))]
        lines.append(f"{name:<17}{shown[0]:>16}{shown[1]:>16}")
    return "\n".join(lines) + f"\nseconds and bytes; {', '.join(CELL_LIMITS)} of each cell, the others of {info.name}\n"


def _matplotlib(argument: str, notebook: Notebook) -> str:
    """%matplotlib: nothing to do, figures are shown in the notebook anyway"""
    if argument not in ("", "inline"):
        raise MagicError(f"there is no back end {argument!r} here: figures are shown in the notebook, as `inline`")
    return ""


def _help(argument: str, notebook: Notebook) -> str:
    """%help: this list"""
    return "\n".join(str(magic.__doc__) for magic in MAGICS.values()) + "\nNAME?: what NAME is; NAME??: with its source\n"


MAGICS: Dict[str, Callable[[str, Notebook], str]] = {
    "fork": _fork, "attach": _attach, "rewind": _rewind, "limits": _limits, "matplotlib": _matplotlib, "help": _help,
}
