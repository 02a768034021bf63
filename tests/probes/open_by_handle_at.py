# expect: POLICY_VIOLATION
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(304, 0, ctypes.create_string_buffer(64), 0)
if result >= 0:
    print("ESCAPED: open_by_handle_at gave", result)
