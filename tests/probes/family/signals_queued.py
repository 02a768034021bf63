# expect: SUCCEEDED
# control: no timer
# ---- past
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
made = ctypes.c_void_p()
# ---- victim
x = 1
# ---- attack
for n in range(100000):
    if libc.timer_create(1, None, ctypes.byref(made)) != 0:
        break
# ---- check
print("unharmed" if libc.timer_create(1, None, ctypes.byref(made)) == 0 else "no timer")
