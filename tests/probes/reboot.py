# expect: POLICY_VIOLATION
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(169, 0xfee1dead, 672274793, 0x01234567, None)
if result >= 0:
    print("ESCAPED: reboot gave", result)
