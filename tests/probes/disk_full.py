# expect: RAISED OSError
# limits: memory=256 workspace=8
with open("/workspace/big", "wb", buffering=0) as file:
    for _ in range(64):
        file.write(b"x" * (1 << 20))
print("ESCAPED the workspace limit")
