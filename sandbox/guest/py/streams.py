"""Sets the standard streams up, once, in the zygote; clones inherit them, and sessions make them anew where
a cell closed them.

The loader adds to this namespace: OutputFile, a FileIO whose write() writes everything.
"""

import faulthandler
import io
import signal
import sys


_NAMES = {1: ("<stdout>", "surrogateescape"), 2: ("<stderr>", "backslashreplace")}


def make_output(descriptor):
    name, errors = _NAMES[descriptor]
    # As with `python -u`: what is written is in the pipe when write() returns, so that nothing is lost
    # when the sandbox is killed and the order with what C code writes is exact.
    raw = OutputFile(descriptor, "wb", closefd=False)
    stream = io.TextIOWrapper(raw, "utf-8", errors, newline="\n", write_through=True)
    stream.mode = "w"
    raw.name = name
    return stream


def make_input():
    raw = io.FileIO(0, "rb", closefd=False)
    stream = io.TextIOWrapper(io.BufferedReader(raw), "utf-8", "surrogateescape")
    stream.mode = "r"
    raw.name = "<stdin>"
    return stream


def set_up():
    sys.stdin = sys.__stdin__ = make_input()
    sys.stdout = sys.__stdout__ = make_output(1)
    sys.stderr = sys.__stderr__ = make_output(2)

    # A crash, or a system call that is not allowed, shows the line that caused it before it kills. The
    # C stack would show addresses, and where the host keeps this binary.
    options = {"c_stack": False} if sys.version_info >= (3, 14) else {}
    faulthandler.enable(2, **options)
    faulthandler.register(signal.SIGSYS, 2, all_threads=False, chain=True)
