# expect: SUCCEEDED
# alone: seccomp
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(447, 0)
if result >= 0:
    print("ESCAPED: memfd_secret gave", result)
