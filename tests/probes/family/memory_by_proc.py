# expect: SUCCEEDED
# ---- past
import ctypes, os
secret = ctypes.create_string_buffer(b"shared past", 64)
address = ctypes.addressof(secret)
# ---- victim
secret.value = b"victim's own"
# ---- attack
for pid in ["self", "thread-self", *range(1, 300)]:
    for name, mode in (("mem", os.O_RDONLY), ("mem", os.O_RDWR)):
        try:
            fd = os.open(f"/proc/{pid}/{name}", mode)
        except OSError:
            continue
        found = os.pread(fd, 12, address)
        if found == b"victim's own":
            print("ESCAPED: read it from", pid)
        os.close(fd)
if secret.value != b"shared past":
    print("ESCAPED: sees the victim's memory as its own")
secret.value = b"attacker was here"
# ---- check
print("unharmed" if secret.value == b"victim's own" else secret.value)
