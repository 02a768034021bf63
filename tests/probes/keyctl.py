# expect: SUCCEEDED
# alone: seccomp
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(250, 0, -3, 1)
if result >= 0:
    print("ESCAPED: keyctl gave", result)
