# expect: SUCCEEDED
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(117, 0, 0, 0)
if result >= 0:
    print("ESCAPED: setresuid_root gave", result)
