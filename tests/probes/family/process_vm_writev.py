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
words = ctypes.create_string_buffer(b"attacker was here")
local = Vector(ctypes.addressof(words), 12)
remote = Vector(ctypes.addressof(secret), 12)
for pid in (3, 4, 5, 1):
    if libc.syscall(311, pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0) > 0:
        print("ESCAPED: wrote to", pid)
# ---- check
print("unharmed" if secret.value == b"victim's own" else secret.value)
