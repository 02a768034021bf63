# expect: SUCCEEDED
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
if libc.mlockall(3) == 0:
    print("ESCAPED: locked all its memory")
