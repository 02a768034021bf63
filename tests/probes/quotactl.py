# expect: SUCCEEDED
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(179, 0, None, 0, None)
if result >= 0:
    print("ESCAPED: quotactl gave", result)
