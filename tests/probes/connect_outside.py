# expect: SUCCEEDED
# alone: seccomp namespaces
import socket
for address in (("127.0.0.1", 22), ("169.254.169.254", 80), ("::1", 22)):
    try:
        socket.create_connection(address, timeout=0.5)
        print("ESCAPED: connected to", address)
    except OSError:
        pass
