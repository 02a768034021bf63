# expect: MEMORY_LIMIT
# ---- past
heap = [bytearray(b"x" * (1 << 20)) for _ in range(40)]
# ---- victim
heap[0][0] = 1
# ---- attack
while True:
    heap.append(bytearray(b"x" * (1 << 20)))
# ---- check
heap += [bytearray(b"x" * (1 << 20)) for _ in range(40)]
print("unharmed" if len(heap) == 80 and heap[0][0] == 1 else len(heap))
