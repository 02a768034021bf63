# expect: WALL_TIMEOUT
# limits: wall=0.3
import time
time.sleep(1000)
