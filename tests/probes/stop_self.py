# expect: WALL_TIMEOUT
# limits: wall=0.5
import os, signal
os.kill(os.getpid(), signal.SIGSTOP)
