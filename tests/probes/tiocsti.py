# expect: POLICY_VIOLATION
# alone: seccomp
import fcntl
for fd in (0, 1, 2):
    try:
        fcntl.ioctl(fd, 0x5412, b"x")
        print("ESCAPED: pushed input into a terminal")
    except OSError:
        pass
