# expect: SUCCEEDED
# alone: seccomp namespaces
import socket
try:
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen()
    client = socket.create_connection(server.getsockname(), timeout=0.5)
    print("ESCAPED: talked over loopback")
except OSError:
    pass
