# expect: SUCCEEDED
for line in open("/proc/self/mountinfo"):
    fields = line.split()
    if fields[4] not in ("/", "/proc", "/dev", "/tmp", "/workspace", "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"):
        print("ESCAPED: sees the mount", fields[4])
    if fields[4] == "/" and "ro" not in fields[5].split(","):
        print("ESCAPED: root is writable")
