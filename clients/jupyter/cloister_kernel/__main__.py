"""`python3 -m cloister_kernel install [OPTIONS]` or, as front ends start it, `python3 -m cloister_kernel -f FILE [OPTIONS]`."""

from __future__ import annotations

import gc
import sys
from typing import List

from .settings import SettingsError, read_settings


def main(arguments: List[str]) -> int:
    if arguments[:1] == ["install"] or not arguments or arguments[0] in ("-h", "--help"):
        from .install import main as install

        return install(arguments)
    try:
        connection_file, settings = read_settings(arguments)
    except SettingsError as error:
        print(f"cloister_kernel: {error}", file=sys.stderr)
        return 2
    # A start is imports, and collecting amid them is a seventh of it; Remote ends this when it has them all.
    gc.disable()
    # Before anything makes threads: what ends the sandbox should this process be killed is a fork of it.
    from .reaper import Reaper

    reaper = Reaper.start(settings)
    from .kernel import run

    return run(connection_file, settings, reaper)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
