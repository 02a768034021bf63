# expect: SUCCEEDED
import os
with open("/tmp/s", "wb") as file:
    file.write(b"x")
try:
    os.chown("/tmp/s", 0, 0)
    print("ESCAPED: gave a file to root")
except OSError:
    pass
for root, names, files in os.walk("/usr"):
    for name in files:
        mode = os.lstat(os.path.join(root, name)).st_mode
        if mode & 0o6000 and not os.path.islink(os.path.join(root, name)):
            print("ESCAPED: a setuid file", root, name)
