# expect: SIGNALED 11
# ---- past
import ctypes, faulthandler
# ---- victim
x = 1
# ---- attack
ctypes.string_at(0)
# ---- check
print("unharmed" if x == 1 else x)
