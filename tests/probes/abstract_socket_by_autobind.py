# expect: SUCCEEDED
# alone: seccomp
import socket
first, second = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
second.close()
for option in (16, 76):  # SO_PASSCRED, SO_PASSPIDFD: sending then names the socket
    try:
        first.setsockopt(socket.SOL_SOCKET, option, 1)
    except OSError:
        continue
    for _ in range(2):
        try:
            first.sendto(b"x", b"\0nobody")
        except OSError:
            pass
if first.getsockname():
    print("ESCAPED: has an abstract name that others can send to", first.getsockname())
