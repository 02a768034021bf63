# expect: SUCCEEDED
import os
try:
    if os.listdir("/dev/shm"):
        print("ESCAPED: /dev/shm is shared")
except OSError:
    pass
