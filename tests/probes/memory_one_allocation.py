# expect: RAISED MemoryError
# limits: memory=64
bytearray(1 << 40)
