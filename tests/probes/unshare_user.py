# expect: POLICY_VIOLATION
# alone: seccomp
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(272, 0x10000000)
if result >= 0:
    print("ESCAPED: unshare_user gave", result)
