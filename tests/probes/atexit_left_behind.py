# expect: WALL_TIMEOUT
# limits: wall=0.5 cpu=30
import atexit
def stay():
    while True:
        pass
atexit.register(stay)
