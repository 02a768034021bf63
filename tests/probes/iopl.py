# expect: POLICY_VIOLATION
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(172, 3)
if result >= 0:
    print("ESCAPED: iopl gave", result)
