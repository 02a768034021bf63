# expect: SUCCEEDED
# alone: seccomp
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(438, 0, 0, 0)
if result >= 0:
    print("ESCAPED: pidfd_getfd gave", result)
