# expect: POLICY_VIOLATION
# alone: seccomp
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(310, 1, None, 0, None, 0, 0)
if result >= 0:
    print("ESCAPED: process_vm_readv gave", result)
