# expect: SUCCEEDED
# alone: seccomp
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(248, b"user", b"k", b"v", 1, -3)
if result >= 0:
    print("ESCAPED: add_key gave", result)
