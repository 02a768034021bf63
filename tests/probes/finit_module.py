# expect: POLICY_VIOLATION
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(313, 0, b"", 0)
if result >= 0:
    print("ESCAPED: finit_module gave", result)
