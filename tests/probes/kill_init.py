# expect: SUCCEEDED
import os, signal
for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP):
    try:
        os.kill(1, number)
        print("ESCAPED: signalled pid 1")
    except PermissionError:
        pass
