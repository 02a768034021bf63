# expect: SUCCEEDED
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(161, b"/tmp")
if result >= 0:
    print("ESCAPED: chroot gave", result)
