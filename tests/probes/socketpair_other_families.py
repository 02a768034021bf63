# expect: SUCCEEDED
# alone: seccomp
import socket
for family in (socket.AF_INET, socket.AF_INET6, 16, 17, 30, 38):
    try:
        socket.socketpair(family)
        print("ESCAPED: a socket pair of family", family)
    except OSError:
        pass
