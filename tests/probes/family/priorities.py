# expect: SUCCEEDED
# control: was slowed down
# ---- past
import os, resource
before = os.getpriority(os.PRIO_PROCESS, 0), sorted(os.sched_getaffinity(0))
user = os.getuid()
group = os.getpgrp()
# ---- victim
x = 1
# ---- attack
for which, who in ((os.PRIO_USER, 0), (os.PRIO_USER, user), (os.PRIO_PGRP, 0), (os.PRIO_PGRP, group)):
    try:
        os.setpriority(which, who, 19)
    except OSError:
        pass
for pid in range(1, 300):
    if pid in (0, 1, os.getpid()):
        continue
    for attempt in (lambda: os.setpriority(os.PRIO_PROCESS, pid, 19),
                    lambda: os.sched_setaffinity(pid, {0}),
                    lambda: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0)),
                    lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, 0))):
        try:
            attempt()
            print("ESCAPED: changed", pid)
        except OSError:
            pass
# ---- check
after = os.getpriority(os.PRIO_PROCESS, 0), sorted(os.sched_getaffinity(0))
print("unharmed" if after == before else f"was slowed down: {before} {after}")
