# expect: RAISED PermissionError
# alone: seccomp
import os
while True:
    os.fork()
    print("ESCAPED: forked")
