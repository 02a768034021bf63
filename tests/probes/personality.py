# expect: SUCCEEDED
# alone: seccomp
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(135, 0x0040000)
if result >= 0:
    print("ESCAPED: personality gave", result)
