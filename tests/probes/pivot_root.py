# expect: POLICY_VIOLATION
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(155, b"/workspace", b"/workspace")
if result >= 0:
    print("ESCAPED: pivot_root gave", result)
