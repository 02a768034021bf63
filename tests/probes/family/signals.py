# expect: SUCCEEDED
# control: was hit
# ---- past
import ctypes, os, signal
hits = []
signal.signal(signal.SIGUSR1, lambda number, frame: hits.append(number))
libc = ctypes.CDLL(None, use_errno=True)
group = os.getpgrp()
# ---- victim
hits.clear()
# ---- attack
own = os.getpid()
for attempt in (lambda: os.kill(-1, signal.SIGUSR1), lambda: os.killpg(0, signal.SIGUSR1),
                lambda: os.killpg(group, signal.SIGUSR1)):
    try:
        attempt()
    except OSError:
        pass
for pid in range(1, 3000):
    if pid == own:
        continue
    for number in (signal.SIGUSR1, signal.SIGKILL):
        try:
            os.kill(pid, number)
            if pid != 1:
                print("ESCAPED: signalled", pid)
        except OSError:
            pass
    if libc.syscall(234, pid, pid, 10) == 0 and pid != 1:  # tgkill
        print("ESCAPED: tgkill", pid)
# ---- check
print("was hit" if hits else "unharmed")
