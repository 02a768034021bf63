# expect: SUCCEEDED
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(170, b"mine", 4)
if result >= 0:
    print("ESCAPED: sethostname gave", result)
