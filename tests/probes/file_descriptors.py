# expect: RAISED OSError
import os
held = []
for _ in range(100_000):
    held.append(os.dup(0))
print("ESCAPED the descriptor limit")
