# expect: WALL_TIMEOUT
# as cell: SUCCEEDED
# limits: wall=0.5 cpu=30
import threading, time
def stay():
    while True:
        time.sleep(0.01)
threading.Thread(target=stay).start()
