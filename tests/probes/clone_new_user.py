# expect: SUCCEEDED
# alone: seccomp
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(56, 0x10000000 | 17, None, None, None, None)
if result >= 0:
    print("ESCAPED: clone_new_user gave", result)
