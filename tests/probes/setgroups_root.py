# expect: SUCCEEDED
# alone: seccomp
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(116, 0, None)
if result >= 0:
    print("ESCAPED: setgroups_root gave", result)
