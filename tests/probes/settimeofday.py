# expect: SUCCEEDED
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(164, ctypes.create_string_buffer(64), None)
if result >= 0:
    print("ESCAPED: settimeofday gave", result)
