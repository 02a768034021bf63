# expect: RAISED RecursionError
deep = []
for _ in range(1_000_000):
    deep = [deep]
repr(deep)
