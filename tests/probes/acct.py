# expect: POLICY_VIOLATION
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(163, None)
if result >= 0:
    print("ESCAPED: acct gave", result)
