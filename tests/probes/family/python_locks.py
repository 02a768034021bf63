# expect: SUCCEEDED
# control: ESCAPED
# ---- past
import threading
lock = threading.Lock()
event = threading.Event()
# ---- victim
lock.acquire()
# ---- attack
if not lock.acquire(timeout=0.2):
    print("ESCAPED: waits for the victim's lock")
lock.release()
event.set()
# ---- check
print("unharmed" if lock.locked() and not event.is_set() else (lock, event))
