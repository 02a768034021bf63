# expect: WALL_TIMEOUT
# limits: wall=0.5
# ---- past
import os, signal
# ---- victim
x = 1
# ---- attack
os.kill(os.getpid(), signal.SIGSTOP)
# ---- check
print("unharmed" if x == 1 else x)
