# expect: SUCCEEDED
# ---- past
import os, signal
hits = []
signal.signal(signal.SIGUSR1, lambda number, frame: hits.append(number))
# ---- victim
hits.clear()
# ---- attack
for pid in range(1, 300):
    if pid in (1, os.getpid()):
        continue
    try:
        fd = os.pidfd_open(pid)
        print("ESCAPED: holds", pid)
        signal.pidfd_send_signal(fd, signal.SIGUSR1)
    except OSError:
        pass
# ---- check
print("was hit" if hits else "unharmed")
