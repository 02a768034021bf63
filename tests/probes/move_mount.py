# expect: POLICY_VIOLATION
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(429, -100, b"/tmp", -100, b"/workspace", 0)
if result >= 0:
    print("ESCAPED: move_mount gave", result)
