# expect: POLICY_VIOLATION
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(167, b"/tmp/x", 0)
if result >= 0:
    print("ESCAPED: swapon gave", result)
