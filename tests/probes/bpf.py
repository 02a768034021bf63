# expect: POLICY_VIOLATION
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(321, 0, ctypes.create_string_buffer(128), 128)
if result >= 0:
    print("ESCAPED: bpf gave", result)
