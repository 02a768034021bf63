# expect: SUCCEEDED
# alone: namespaces
import os
for path in ("/x", "/etc/x", "/usr/x", "/usr/lib/python3.14/x", "/usr/bin/x", "/dev/x", "/proc/x", "/var/x", "/lib/x", "/root/x"):
    try:
        with open(path, "w"):
            print("ESCAPED: wrote", path)
    except OSError:
        pass
for path in ("/etc/passwd", "/usr/lib/python3.14/os.py", "/usr/bin/python3.14"):
    for attempt in (lambda: open(path, "r+b"), lambda: os.unlink(path), lambda: os.chmod(path, 0o777),
                    lambda: os.rename(path, "/tmp/stolen"), lambda: os.truncate(path, 0)):
        try:
            attempt()
            print("ESCAPED: changed", path)
        except OSError:
            pass
