# expect: MEMORY_LIMIT
# limits: memory=48 workspace=512
with open("/tmp/big", "wb", buffering=0) as file:
    for _ in range(400):
        file.write(b"x" * (1 << 20))
print("ESCAPED the memory limit through /tmp")
