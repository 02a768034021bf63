# expect: SUCCEEDED
import os, socket
if socket.gethostname() != "sandbox":
    print("ESCAPED: host name", socket.gethostname())
text = open("/proc/self/cgroup").read()
if "cloister" in text or "process_api" in text or "kubepods" in text:
    print("ESCAPED: cgroup path", text)
if os.getpid() == 1:
    print("ESCAPED: is pid 1")
if os.getuid() == 0:
    print("ESCAPED: is root")
