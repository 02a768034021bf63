# expect: SUCCEEDED
# control: ESCAPED
# ---- past
import os, tempfile
shared = open("/workspace/shared", "w+")
append = open("/tmp/log", "a+")
unnamed = tempfile.TemporaryFile()
memory = os.memfd_create("memory")
directory = os.open("/workspace", os.O_RDONLY | os.O_DIRECTORY)
# ---- victim
for file in (shared, append):
    print("secret", file=file, flush=True)
unnamed.write(b"secret"); unnamed.flush()
os.pwrite(memory, b"secret", 0)
os.close(os.open("victims", os.O_CREAT | os.O_WRONLY, dir_fd=directory))
# ---- attack
for file in (shared, append, unnamed):
    file.seek(0)
    if "secret" in str(file.read()):
        print("ESCAPED: read", file)
    file.seek(0)
    file.write(b"attacker" if file is unnamed else "attacker")
    file.flush()
if b"secret" in os.pread(memory, 100, 0):
    print("ESCAPED: read the memfd")
os.pwrite(memory, b"attacker", 0)
if "victims" in os.listdir(directory):
    print("ESCAPED: lists", os.listdir(directory))
for name in ("victims", "../workspace/victims"):
    try:
        os.unlink(name, dir_fd=directory)
        print("ESCAPED: removed", name)
    except OSError:
        pass
# ---- check
shared.seek(0); append.seek(0); unnamed.seek(0)
seen = [shared.read(), append.read(), unnamed.read(), os.pread(memory, 100, 0)]
right = ["secret\n", "secret\n", b"secret", b"secret"]
print("unharmed" if seen == right and os.path.exists("/workspace/victims") else seen)
