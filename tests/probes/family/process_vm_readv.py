# expect: POLICY_VIOLATION
# ---- past
import ctypes, os
secret = ctypes.create_string_buffer(b"shared past", 64)
libc = ctypes.CDLL(None, use_errno=True)
# ---- victim
secret.value = b"victim's own"
# ---- attack
class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
seen = ctypes.create_string_buffer(64)
local = Vector(ctypes.addressof(seen), 12)
remote = Vector(ctypes.addressof(secret), 12)
for pid in (3, 4, 5, 1, 2):
    if libc.syscall(310, pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0) > 0:
        print("ESCAPED: read from", pid, seen.value)
# ---- check
print("unharmed" if secret.value == b"victim's own" else secret.value)
