# expect: POLICY_VIOLATION
# alone: seccomp
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(311, 1, None, 0, None, 0, 0)
if result >= 0:
    print("ESCAPED: process_vm_writev gave", result)
