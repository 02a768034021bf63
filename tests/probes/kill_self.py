# expect: SIGNALED 9
import os, signal
os.kill(os.getpid(), signal.SIGKILL)
