# expect: SUCCEEDED
# alone: seccomp
import socket
try:
    server = socket.socket(socket.AF_UNIX)
    server.bind("\0meeting-point")
    print("ESCAPED: bound an abstract socket")
except OSError:
    pass
