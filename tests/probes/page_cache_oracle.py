# expect: SUCCEEDED
# alone: seccomp
import os
fd = os.open("/usr/lib/os-release" if os.path.exists("/usr/lib/os-release") else os.__file__, os.O_RDONLY)
for attempt in (lambda: os.preadv(fd, [bytearray(1)], 0, os.RWF_NOWAIT),
                lambda: os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)):
    try:
        attempt()
        print("ESCAPED: asks or changes what is cached")
    except OSError:
        pass
