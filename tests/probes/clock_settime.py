# expect: SUCCEEDED
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
structure = ctypes.create_string_buffer(256)
result = libc.syscall(227, 0, ctypes.byref(structure), 0, 0, 0)
if result >= 0:
    print("ESCAPED: clock_settime gave", result)
