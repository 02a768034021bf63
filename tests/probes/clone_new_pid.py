# expect: SUCCEEDED
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(56, 0x20000000 | 17, None, None, None, None)
if result >= 0:
    print("ESCAPED: clone_new_pid gave", result)
