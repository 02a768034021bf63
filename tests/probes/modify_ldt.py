# expect: SUCCEEDED
# alone: seccomp
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(154, 1, ctypes.create_string_buffer(16), 16)
if result >= 0:
    print("ESCAPED: modify_ldt gave", result)
