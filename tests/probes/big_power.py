# expect: WALL_TIMEOUT
# limits: wall=0.5 cpu=30
10 ** 10 ** 8
