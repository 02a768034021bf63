# expect: SUCCEEDED
import os, stat
kinds = {}
for fd in range(0, 1024):
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        continue
    kinds[fd] = stat.S_IFMT(mode)
sockets = [fd for fd, kind in kinds.items() if kind == stat.S_IFSOCK]
directories = [fd for fd, kind in kinds.items() if kind == stat.S_IFDIR]
if len(sockets) > 1 or directories or len(kinds) > 8:
    print("ESCAPED: descriptors", kinds)
