# expect: SUCCEEDED
# control: ESCAPED
# ---- past
import ctypes, mmap, os
libc = ctypes.CDLL(None, use_errno=True)
# ---- victim
made = libc.shmget(0x51, 4096, 0o1777)
with open("/dev/shm/victims", "w") as file:
    file.write("secret")
# ---- attack
for key in range(0x40, 0x60):
    if libc.shmget(key, 4096, 0o777) >= 0:
        print("ESCAPED: a segment of System V", hex(key))
    if libc.semget(key, 1, 0o777) >= 0:
        print("ESCAPED: semaphores of System V", hex(key))
    if libc.msgget(key, 0o777) >= 0:
        print("ESCAPED: a queue of System V", hex(key))
try:
    with open("/dev/shm/victims", "r+") as file:
        print("ESCAPED: opened the victim's shared memory", file.read())
        file.write("attacker")
except OSError:
    pass
with open("/dev/shm/victims", "w") as file:
    file.write("attacker")
try:
    os.open("/dev/mqueue/name", os.O_CREAT | os.O_RDWR)
    print("ESCAPED: made a message queue")
except OSError:
    pass
# ---- check
with open("/dev/shm/victims") as file:
    text = file.read()
print("unharmed" if text == "secret" else text)
