# expect: SUCCEEDED
# alone: seccomp
import socket
for family in range(0, 46):
    for kind in (1, 2, 3, 5):
        try:
            socket.socket(family, kind)
            print("ESCAPED: a socket of family", family)
        except OSError:
            pass
