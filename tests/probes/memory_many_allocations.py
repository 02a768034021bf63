# expect: MEMORY_LIMIT
# limits: memory=64
hoard = []
while True:
    try:
        hoard.append(bytearray(b"x") * 100_000)
    except MemoryError:
        pass
