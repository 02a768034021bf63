# expect: SUCCEEDED
# control: attacker was here
# ---- past
import ctypes
pages = bytearray(1 << 22)
# ---- victim
pages[:6] = b"victim"
# ---- attack
if bytes(pages[:6]) == b"victim":
    print("ESCAPED: a page stayed shared")
pages[:17] = b"attacker was here"
# ---- check
print("unharmed" if bytes(pages[:6]) == b"victim" else bytes(pages[:17]))
