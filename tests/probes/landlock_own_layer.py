# expect: SUCCEEDED
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
if libc.syscall(446, 0, 0) == 0:
    print("ESCAPED: restricted itself through an inherited ruleset")
