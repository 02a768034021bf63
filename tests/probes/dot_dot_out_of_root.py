# expect: SUCCEEDED
import os
if os.path.exists("/" + "../" * 40 + "var/lib/dpkg"):
    print("ESCAPED through ..")
os.symlink("/" + "../" * 40 + "etc/shadow", "/workspace/link")
try:
    open("/workspace/link").read()
    print("ESCAPED through a link")
except OSError:
    pass
