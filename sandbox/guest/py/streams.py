"""Sets the standard streams up, once, in the zygote; clones inherit them.

The loader adds to this namespace: OutputFile, a FileIO whose write() writes everything.
"""

import faulthandler
import io
import signal
import sys


def _output(descriptor, name, errors):
    # As with `python -u`: what is written is in the pipe when write() returns, so that nothing is lost
    # when the sandbox is killed and the order with what C code writes is exact.
    raw = OutputFile(descriptor, "wb", closefd=False)
    stream = io.TextIOWrapper(raw, "utf-8", errors, newline="\n", write_through=True)
    stream.mode = "w"
    raw.name = name
    return stream


def set_up():
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(
        io.BufferedReader(io.FileIO(0, "rb", closefd=False)), "utf-8", "surrogateescape"
    )
    sys.stdin.mode = "r"
    sys.stdin.buffer.raw.name = "<stdin>"
    sys.stdout = sys.__stdout__ = _output(1, "<stdout>", "surrogateescape")
    sys.stderr = sys.__stderr__ = _output(2, "<stderr>", "backslashreplace")

    # A crash, or a system call that is not allowed, shows the line that caused it before it kills. The
    # C stack would show addresses, and where the host keeps this binary.
    options = {"c_stack": False} if sys.version_info >= (3, 14) else {}
    faulthandler.enable(2, **options)
    faulthandler.register(signal.SIGSYS, 2, all_threads=False, chain=True)
