# expect: INTERPRETER_LOST
# limits: wall=5
import os, stat, struct
for fd in range(3, 256):
    try:
        if stat.S_ISSOCK(os.fstat(fd).st_mode):
            os.write(fd, struct.pack("<I", 1000) + b"short")
            os.close(fd)
    except OSError:
        pass
