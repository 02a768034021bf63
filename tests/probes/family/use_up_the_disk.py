# expect: SUCCEEDED
# control: no room
# ---- past
import os
# ---- victim
x = 1
# ---- attack
for directory in ("/workspace", "/tmp"):
    for n in range(64):
        try:
            with open(f"{directory}/full{n}", "wb") as file:
                while True:
                    file.write(bytes(1 << 20))
        except OSError:
            pass
# ---- check
try:
    for directory in ("/workspace", "/tmp"):
        open(f"{directory}/mine", "wb").write(bytes(1 << 20))
    print("unharmed")
except OSError as error:
    print("no room", error)
