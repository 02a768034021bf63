# expect: POLICY_VIOLATION
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(166, b"/proc", 2)
if result >= 0:
    print("ESCAPED: umount_proc gave", result)
