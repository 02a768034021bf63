# expect: SUCCEEDED
import time
before = time.time()
try:
    time.clock_settime(time.CLOCK_REALTIME, 0)
    print("ESCAPED: set the clock")
except OSError:
    pass
assert time.time() >= before
