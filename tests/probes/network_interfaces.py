# expect: SUCCEEDED
import os
try:
    names = os.listdir("/sys/class/net")
    print("ESCAPED: sees interfaces", names)
except OSError:
    pass
