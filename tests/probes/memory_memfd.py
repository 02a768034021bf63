# expect: MEMORY_LIMIT
# limits: memory=48
import os
fd = os.memfd_create("hoard")
for _ in range(400):
    os.write(fd, b"x" * (1 << 20))
print("ESCAPED the memory limit through a memfd")
