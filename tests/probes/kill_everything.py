# expect: SUCCEEDED
import os
try:
    os.kill(-1, 9)
    print("ESCAPED: signalled other processes")
except (PermissionError, ProcessLookupError):
    pass
