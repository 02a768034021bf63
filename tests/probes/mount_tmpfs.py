# expect: POLICY_VIOLATION
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(165, b"none", b"/tmp", b"tmpfs", 0, None)
if result >= 0:
    print("ESCAPED: mount_tmpfs gave", result)
