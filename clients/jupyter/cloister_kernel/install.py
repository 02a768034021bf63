"""Installs the kernelspec, by which front ends find the kernel."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import sys
import tempfile
from typing import Any, Dict, List

from .settings import OPTIONS, SettingsError, make_settings

_NAME = "cloister"


def main(arguments: List[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python3 -m cloister_kernel", description="A Jupyter kernel whose cells run in a sandbox of a Cloister server.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("install", help="make the kernel known to Jupyter",
                                  description="Makes the kernel known to Jupyter. Options other than the first ones become "
                                  "arguments of the kernel; a token never does: see --token-file.")
    place = command.add_mutually_exclusive_group()
    place.add_argument("--user", action="store_true", help="for this user only")
    place.add_argument("--prefix", help="below PREFIX/share/jupyter/kernels, e.g. /usr/local or a virtual environment")
    command.add_argument("--name", default=_NAME, help=f"name of the kernelspec (default: {_NAME})")
    command.add_argument("--display-name", default="Python (Cloister)", help="what front ends show")
    command.add_argument("--token-file", help="the kernel's CLOISTER_TOKEN_FILE")
    for option, (_, _, what) in OPTIONS.items():
        command.add_argument(option, help=what)
    given = parser.parse_args(arguments)
    options = {option: value for option in OPTIONS
               if (value := getattr(given, option.strip("-").replace("-", "_"))) is not None}
    try:
        make_settings(options)
        where = install(kernel_dict(options, given.display_name, given.token_file), given.name, given.user, given.prefix)
    except SettingsError as error:
        parser.error(str(error))
    except OSError as error:
        print(f"cloister_kernel: cannot install: {error}; --user needs no privileges", file=sys.stderr)
        return 1
    print(f"installed kernelspec {given.name} in {where}")
    return 0


def kernel_dict(options: Dict[str, str], display_name: str, token_file: str | None) -> Dict[str, Any]:
    """What kernel.json says."""
    argv = [sys.executable, "-m", "cloister_kernel", "-f", "{connection_file}"]
    argv += [f"{option}={value}" for option, value in options.items()]
    made: Dict[str, Any] = {
        "argv": argv, "display_name": display_name, "language": "python", "interrupt_mode": "message",
        "metadata": {"debugger": False},
    }
    if token_file is not None:
        made["env"] = {"CLOISTER_TOKEN_FILE": os.path.abspath(token_file)}
    return made


def install(spec: Dict[str, Any], name: str, user: bool, prefix: str | None) -> str:
    """Returns the directory of the kernelspec."""
    from jupyter_client.kernelspec import KernelSpecManager

    with tempfile.TemporaryDirectory() as directory:
        pathlib.Path(directory).chmod(0o755)
        pathlib.Path(directory, "kernel.json").write_text(json.dumps(spec, indent=1) + "\n")
        try:
            where = KernelSpecManager().install_kernel_spec(directory, kernel_name=name, user=user, prefix=prefix)
        except ValueError as error:
            raise SettingsError(str(error)) from None
        return str(where)
