# expect: SUCCEEDED
# alone: seccomp
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(298, ctypes.create_string_buffer(128), 0, -1, -1, 0)
if result >= 0:
    print("ESCAPED: perf_event_open gave", result)
