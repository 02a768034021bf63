# expect: POLICY_VIOLATION
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(175, b"", 0, b"")
if result >= 0:
    print("ESCAPED: init_module gave", result)
