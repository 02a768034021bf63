# expect: WALL_TIMEOUT
# as cell: SUCCEEDED
# limits: wall=0.5 cpu=30
import atexit
def stay():
    while True:
        pass
atexit.register(stay)
