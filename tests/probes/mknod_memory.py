# expect: SUCCEEDED
# alone: namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(133, b"/tmp/mem", 0o20666, 0x101)
if result >= 0:
    print("ESCAPED: mknod_memory gave", result)
