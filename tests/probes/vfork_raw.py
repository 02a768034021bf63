# expect: SUCCEEDED
# alone: seccomp
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
FORK, CLONE3 = 57, 435
for number in (FORK, CLONE3):
    result = libc.syscall(number, 0, 0)
    if result == 0:
        libc._exit(0)
    if result > 0:
        print("ESCAPED: made a process with system call", number)
