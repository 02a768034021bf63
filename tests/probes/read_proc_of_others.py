# expect: SUCCEEDED
import os
seen = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
if any(pid not in (1, os.getpid()) for pid in seen):
    print("ESCAPED: sees processes", seen)
for pid in seen:
    if pid == os.getpid():
        continue
    for name in ("environ", "mem", "maps", "root/etc/passwd", "cwd", "fd/0", "exe"):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                file.read(1)
            print("ESCAPED: read", pid, name)
        except OSError:
            pass
