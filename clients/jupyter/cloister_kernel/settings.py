"""What the kernel can be told: by arguments of its kernelspec, else by the environment. Imports next to nothing."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, List, Mapping, Tuple

_SIZE = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_TIME = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}

# Fields of cloister.Limits, and whether they are times, sizes or counts.
LIMITS: Dict[str, str] = {
    "wall_time": "time", "cpu_time": "time", "memory_bytes": "size", "output_bytes": "size", "process_count": "count",
    "open_file_count": "count", "file_bytes": "size", "workspace_bytes": "size",
}
# What may change from one cell to the next; the others are the sandbox's as long as it lives.
CELL_LIMITS = ("wall_time", "cpu_time", "output_bytes")


class SettingsError(ValueError):
    """One English sentence for people."""


@dataclass(frozen=True)
class Settings:
    """
    Attributes:
        server: address; empty: what the client takes, CLOISTER_SERVER or the server on this machine.
        template: empty: the server's first.
        limits: fields of cloister.Limits by name.
        idle_timeout: seconds without a cell after which the sandbox ends; None: the server's maximum.
        lease: seconds the sandbox outlives a kernel that is gone with its machine.
        snapshots: states before cells that are kept for %rewind; 0: none.
        grace: seconds a cell may take to answer an interrupt before it is killed, and its state with it.
        sandbox: name of a live sandbox to take over; empty: one of its own.
        active_content: whether HTML, scripts and SVG of the sandbox go to the front end as they are.
    """

    server: str = ""
    template: str = ""
    limits: Tuple[Tuple[str, Any], ...] = ()
    idle_timeout: float | None = None
    lease: float = 600.0
    snapshots: int = 5
    grace: float = 30.0
    sandbox: str = ""
    active_content: bool = False


def _quantity(text: str, units: Mapping[str, float], what: str) -> float:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)", text.strip())
    if match is None or match[2] not in units or float(match[1]) <= 0:
        raise SettingsError(f"{text!r} is no {what}: a number above 0 with one of {', '.join(filter(None, units))} behind it, "
                            "or none")
    return float(match[1]) * units[match[2]]


def parse_time(text: str) -> float:
    return _quantity(text, _TIME, "time")


def parse_limits(text: str) -> Tuple[Tuple[str, Any], ...]:
    """"memory=512M wall=60s" by name of the field, which may be written without _bytes, _time and _count."""
    names = {name.rpartition("_")[0]: name for name in LIMITS} | {name: name for name in LIMITS}
    found: Dict[str, Any] = {}
    for part in text.replace(",", " ").split():
        key, equals, value = part.partition("=")
        name = names.get(key)
        if name is None or not equals:
            raise SettingsError(f"{part!r} is no limit; write NAME=VALUE with one of {', '.join(LIMITS)}")
        if LIMITS[name] == "time":
            found[name] = parse_time(value)
        else:
            units = _SIZE if LIMITS[name] == "size" else {"": 1}
            found[name] = int(_quantity(value, units, LIMITS[name]))
    return tuple(found.items())


def _parse_count(text: str) -> int:
    if not text.isdecimal() or int(text) > 64:
        raise SettingsError(f"{text!r} is no number from 0 to 64")
    return int(text)


def _parse_grace(text: str) -> float:
    if parse_time(text) > 60:
        raise SettingsError(f"{text!r} is longer than the 60 s that a server allows")
    return parse_time(text)


def _parse_lease(text: str) -> float:
    if parse_time(text) < 30:
        raise SettingsError(f"{text!r} is less than 30 s")
    return parse_time(text)


def _parse_switch(text: str) -> bool:
    if text.lower() not in ("0", "1", "yes", "no", "true", "false"):
        raise SettingsError(f"{text!r} is neither yes nor no")
    return text.lower() in ("1", "yes", "true")


# Argument to field, the reader of its text, and what it is for. In the environment --idle-timeout is
# CLOISTER_KERNEL_IDLE_TIMEOUT.
OPTIONS: Dict[str, Tuple[str, Callable[[str], Any], str]] = {
    "--server": ("server", str, "unix:/path or host:port; else CLOISTER_SERVER, else the server on this machine"),
    "--template": ("template", str, "template of the server to make sandboxes of"),
    "--limits": ("limits", parse_limits, "e.g. 'memory=1G wall=10m'; else the server's defaults, and its maximum of times and "
                 "output"),
    "--idle-timeout": ("idle_timeout", parse_time, "how long the sandbox lives without a cell, e.g. 8h"),
    "--lease": ("lease", parse_time, "how long the sandbox outlives a kernel whose machine is gone; at least 30s"),
    "--snapshots": ("snapshots", _parse_count, "how many states before cells are kept for %%rewind; 0: none"),
    "--grace": ("grace", _parse_grace, "how long a cell may take to answer an interrupt before it is killed"),
    "--sandbox": ("sandbox", str, "a live sandbox to take over, as %%fork names one"),
    "--active-content": ("active_content", _parse_switch, "yes: show HTML, SVG and scripts of the sandbox as they are; see README"),
}
OPTIONS["--lease"] = ("lease", _parse_lease, OPTIONS["--lease"][2])


def environment_name(option: str) -> str:
    return "CLOISTER_KERNEL_" + option.strip("-").upper().replace("-", "_")


def read_settings(arguments: List[str], environment: Mapping[str, str] = os.environ) -> Tuple[str, Settings]:
    """The connection file and the settings. Raises SettingsError."""
    given: Dict[str, str] = {}
    for option in OPTIONS:
        if option != "--server" and environment.get(environment_name(option)):
            given[option] = environment[environment_name(option)]
    connection_file = ""
    rest = list(arguments)
    while rest:
        option, equals, value = rest.pop(0).partition("=")
        if option not in ("-f", *OPTIONS):
            raise SettingsError(f"there is no option {option!r}; there are -f and {', '.join(OPTIONS)}")
        if not equals:
            if not rest:
                raise SettingsError(f"{option} needs a value")
            value = rest.pop(0)
        if option == "-f":
            connection_file = value
        else:
            given[option] = value
    if not connection_file:
        raise SettingsError("needs -f CONNECTION_FILE, which front ends give; install it with `python3 -m cloister_kernel "
                            "install --user`")
    return connection_file, make_settings(given)


def make_settings(given: Mapping[str, str]) -> Settings:
    settings = Settings()
    for option, text in given.items():
        field, read, _ = OPTIONS[option]
        try:
            settings = replace(settings, **{field: read(text)})
        except SettingsError as error:
            raise SettingsError(f"{option} ({environment_name(option)}): {error}") from None
    return settings
