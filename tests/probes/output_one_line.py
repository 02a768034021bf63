# expect: OUTPUT_LIMIT
# limits: output=1
import sys
while True:
    sys.stdout.write("x" * 65536)
