# expect: SUCCEEDED
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
for key in range(0, 200):
    if libc.shmget(key, 0, 0) > 0:
        print("ESCAPED: sees shared memory of others")
