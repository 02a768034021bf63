# expect: POLICY_VIOLATION
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(272, 0x00020000)
if result >= 0:
    print("ESCAPED: unshare_mount gave", result)
