# expect: SUCCEEDED
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(105, 0)
if result >= 0:
    print("ESCAPED: setuid_root gave", result)
