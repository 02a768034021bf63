# expect: POLICY_VIOLATION
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(308, 0, 0)
if result >= 0:
    print("ESCAPED: setns gave", result)
