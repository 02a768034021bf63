# expect: SUCCEEDED
# alone: seccomp
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(59, b"/usr/bin/python3.14", None, None)
if result >= 0:
    print("ESCAPED: execve_python gave", result)
