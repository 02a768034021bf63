# expect: SUCCEEDED
import os
for attempt in (lambda: os.nice(-10), lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))):
    try:
        attempt()
        print("ESCAPED: raised its own priority")
    except OSError:
        pass
