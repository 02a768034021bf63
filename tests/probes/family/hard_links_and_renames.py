# expect: SUCCEEDED
# control: ESCAPED
# ---- past
import os
open("/workspace/one", "w").write("past")
os.link("/workspace/one", "/workspace/two")
# ---- victim
open("/workspace/one", "w").write("victim")
# ---- attack
if open("/workspace/two").read() != "past":
    print("ESCAPED: a link leads to the victim's file")
open("/workspace/two", "w").write("attacker")
os.rename("/workspace/two", "/workspace/one")
os.truncate("/workspace/one", 0)
# ---- check
texts = [open(p).read() for p in ("/workspace/one", "/workspace/two") if os.path.exists(p)]
print("unharmed" if texts == ["victim", "victim"] else texts)
