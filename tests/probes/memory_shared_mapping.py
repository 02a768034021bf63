# expect: MEMORY_LIMIT
# limits: memory=64
import mmap
area = mmap.mmap(-1, 512 << 20)
for offset in range(0, 512 << 20, 4096):
    area[offset] = 1
print("ESCAPED the memory limit")
