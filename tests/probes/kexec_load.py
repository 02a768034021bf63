# expect: POLICY_VIOLATION
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(246, 0, 0, None, 0)
if result >= 0:
    print("ESCAPED: kexec_load gave", result)
