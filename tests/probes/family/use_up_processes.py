# expect: SUCCEEDED
# control: no thread
# ---- past
import threading, time
stop = threading.Event()
# ---- victim
x = 1
# ---- attack
for n in range(1000):
    try:
        threading.Thread(target=stop.wait, daemon=True).start()
    except RuntimeError:
        break
# ---- check
try:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    print("unharmed")
except RuntimeError as error:
    print("no thread:", error)
