# expect: SUCCEEDED
# ---- past
import os, socket
# ---- victim
try:
    ears = socket.socket(socket.AF_UNIX)
    ears.bind("\0meeting-point")
    ears.listen()
except OSError:
    pass
os.mkfifo("/tmp/fifo")
# ---- attack
for address in ("\0meeting-point", "/tmp/meeting-point", "/workspace/meeting-point"):
    try:
        mouth = socket.socket(socket.AF_UNIX)
        mouth.connect(address)
        print("ESCAPED: connected to", address)
    except OSError:
        pass
for place in ("127.0.0.1", "::1"):
    try:
        socket.create_connection((place, 80), timeout=1)
        print("ESCAPED: connected to", place)
    except OSError:
        pass
try:
    os.open("/tmp/fifo", os.O_WRONLY | os.O_NONBLOCK)
    print("ESCAPED: opened the victim's fifo")
except OSError:
    pass
# ---- check
print("unharmed")
