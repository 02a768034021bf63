# expect: SUCCEEDED
import os, stat
allowed = {"null", "zero", "full", "random", "urandom", "fd", "stdin", "stdout", "stderr", "shm"}
extra = set(os.listdir("/dev")) - allowed
if extra:
    print("ESCAPED: devices", extra)
for major, minor in ((1, 1), (8, 0), (10, 200), (10, 232), (5, 1)):
    try:
        os.mknod("/tmp/device", 0o600 | stat.S_IFCHR, os.makedev(major, minor))
        open("/tmp/device").read(1)
        print("ESCAPED: made a device", major, minor)
    except OSError:
        pass
