# expect: SUCCEEDED
import os
for path in ("/sys/kernel", "/sys/fs/cgroup", "/etc/shadow", "/root", "/home", "/boot", "/var/lib/cloister", "/run",
             "/.dockerenv", "/usr/sbin/init", "/var/run/docker.sock", "/mnt", "/media"):
    try:
        if os.path.isdir(path) and os.listdir(path):
            print("ESCAPED: lists", path, os.listdir(path)[:3])
        elif os.path.isfile(path):
            print("ESCAPED: sees", path)
    except OSError:
        pass
