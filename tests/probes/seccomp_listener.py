# expect: SUCCEEDED
# alone: seccomp
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(317, 1, 8, ctypes.create_string_buffer(16))
if result >= 0:
    print("ESCAPED: seccomp_listener gave", result)
