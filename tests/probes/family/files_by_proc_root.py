# expect: SUCCEEDED
# control: ESCAPED
# ---- past
import os
# ---- victim
open("/workspace/victims", "w").write("secret")
open("/tmp/victims", "w").write("secret")
# ---- attack
for pid in ["self", "thread-self", *range(1, 300)]:
    for way in ("root/workspace", "root/tmp", "cwd", *(f"fd/{fd}" for fd in range(32))):
        path = f"/proc/{pid}/{way}"
        for name in (path + "/victims", path + "/../workspace/victims", path + "/../tmp/victims"):
            try:
                with open(name, "r+") as file:
                    print("ESCAPED: opened", name, file.read())
                    file.write("attacker")
            except OSError:
                pass
# ---- check
texts = [open(path).read() for path in ("/workspace/victims", "/tmp/victims")]
print("unharmed" if texts == ["secret", "secret"] else texts)
