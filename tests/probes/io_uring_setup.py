# expect: SUCCEEDED
# alone: seccomp
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(425, 8, ctypes.create_string_buffer(256))
if result >= 0:
    print("ESCAPED: io_uring_setup gave", result)
