# expect: CPU_TIMEOUT
# limits: wall=30 cpu=0.3
sum(range(10**12))
