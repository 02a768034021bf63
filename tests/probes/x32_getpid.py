# expect: POLICY_VIOLATION
# alone: seccomp
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(0x40000000 + 39, 0)
if result >= 0:
    print("ESCAPED: x32_getpid gave", result)
