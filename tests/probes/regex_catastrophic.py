# expect: WALL_TIMEOUT
# limits: wall=0.5 cpu=30
import re
re.match(r"(a+)+$", "a" * 64 + "b")
