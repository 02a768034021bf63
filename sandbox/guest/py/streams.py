"""Makes the standard streams of an interpreter: of main in the zygote, so that clones inherit them. Sessions
make them anew where a cell closed them.

The loader adds to this namespace: OutputFile, a FileIO whose write() writes everything.
"""

import io
import sys

_NAMES = {1: ("<stdout>", "surrogateescape"), 2: ("<stderr>", "backslashreplace")}


def make_output(descriptor, kind):
    """`kind` is 1 or 2, for stdout and stderr, whatever the descriptor."""
    name, errors = _NAMES[kind]
    # As with `python -u`: what is written is in the pipe when write() returns, so that nothing is lost
    # when the sandbox is killed and the order with what C code writes is exact.
    raw = OutputFile(descriptor, "wb", closefd=False)
    stream = io.TextIOWrapper(raw, "utf-8", errors, newline="\n", write_through=True)
    stream.mode = "w"
    raw.name = name
    return stream


def make_input(descriptor, is_owned):
    raw = io.FileIO(descriptor, "rb", closefd=bool(is_owned))
    stream = io.TextIOWrapper(io.BufferedReader(raw), "utf-8", "surrogateescape")
    stream.mode = "r"
    raw.name = "<stdin>"
    return stream


def set_up():
    """Of a process whose descriptors 1 and 2 are main's."""
    import faulthandler
    import signal

    # A crash, or a system call that is not allowed, shows the line that caused it before it kills. The
    # C stack would show addresses, and where the host keeps this binary.
    options = {"c_stack": False} if sys.version_info >= (3, 14) else {}
    faulthandler.enable(2, **options)
    faulthandler.register(signal.SIGSYS, 2, all_threads=False, chain=True)
