# expect: SUCCEEDED
# alone: namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(126, ctypes.create_string_buffer(b"\x22\x05\x08\x20\x00\x00\x00\x00", 8), ctypes.create_string_buffer(b"\xff"*24, 24))
if result >= 0:
    print("ESCAPED: capset gave", result)
