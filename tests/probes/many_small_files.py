# expect: RAISED OSError
# limits: workspace=1 memory=256 wall=20
for number in range(1_000_000):
    open(f"/workspace/{number}", "wb").close()
print("ESCAPED the inode limit")
