# expect: SUCCEEDED
# stdout: done
import threading, time
def stay():
    while True:
        time.sleep(0.01)
threading.Thread(target=stay, daemon=True).start()
print("done")
