# expect: POLICY_VIOLATION
# ---- past
import os
# ---- victim
x = 1
# ---- attack
os.write(3, b"garbage" * 100)
# ---- check
print("unharmed" if x == 1 else x)
