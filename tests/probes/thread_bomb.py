# expect: RAISED RuntimeError
# limits: wall=20 processes=16
import threading, time
release = threading.Event()
for count in range(100_000):
    threading.Thread(target=release.wait, daemon=True).start()
    if count > 1000:
        print("ESCAPED the thread limit")
        break
