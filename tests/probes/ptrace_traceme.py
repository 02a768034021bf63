# expect: POLICY_VIOLATION
# alone: seccomp
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(101, 0, 0, 0, 0)
if result >= 0:
    print("ESCAPED: ptrace_traceme gave", result)
