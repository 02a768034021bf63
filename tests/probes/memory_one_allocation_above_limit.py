# expect: RAISED MemoryError
# limits: memory=64
bytearray(8 << 30)
