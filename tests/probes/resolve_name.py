# expect: SUCCEEDED
import socket
try:
    print("ESCAPED:", socket.getaddrinfo("example.org", 80))
except OSError:
    pass
