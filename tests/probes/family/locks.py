# expect: SUCCEEDED
# control: ESCAPED
# ---- past
import fcntl, os, struct
files = [open(f"/workspace/lock{n}", "w+") for n in range(3)]
OFD_SETLK = 37
whole = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)
def lock(n):
    # A new open file each time: the old one would not meet its own lock.
    file = open(f"/workspace/lock{n}", "r+")
    if n == 0:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    elif n == 1:
        fcntl.fcntl(file, OFD_SETLK, whole)
    else:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file
# ---- victim
held = [lock(n) for n in range(3)]
# ---- attack
for n in range(3):
    try:
        taken = lock(n)
        fcntl.flock(files[0], fcntl.LOCK_UN)
    except OSError as error:
        print("ESCAPED: meets the victim's lock", n, error)
# ---- check
still = 0
for n in range(2):
    try:
        lock(n)
    except OSError:
        still += 1
print("unharmed" if still == 2 else still)
