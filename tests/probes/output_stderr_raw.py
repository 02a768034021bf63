# expect: OUTPUT_LIMIT
# limits: output=1
import os
while True:
    os.write(2, b"\xff\x00" * 30000)
