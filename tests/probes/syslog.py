# expect: SUCCEEDED
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(103, 2, ctypes.create_string_buffer(4096), 4096)
if result >= 0:
    print("ESCAPED: syslog gave", result)
