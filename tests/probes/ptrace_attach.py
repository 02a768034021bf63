# expect: POLICY_VIOLATION
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(101, 16, 1, 0, 0)
if result >= 0:
    print("ESCAPED: ptrace_attach gave", result)
