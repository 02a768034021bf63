# expect: POLICY_VIOLATION
# alone: seccomp namespaces
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
result = libc.syscall(428, -100, b"/", 1)
if result >= 0:
    print("ESCAPED: open_tree_clone gave", result)
