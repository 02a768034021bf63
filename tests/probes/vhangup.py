# expect: SUCCEEDED
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(153, 0)
if result >= 0:
    print("ESCAPED: vhangup gave", result)
