# expect: SUCCEEDED
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
structure = ctypes.create_string_buffer(b"\x01", 256)  # modes: ADJ_OFFSET
result = libc.syscall(159, ctypes.byref(structure), 0, 0, 0)
if result >= 0:
    print("ESCAPED: adjtimex gave", result)
