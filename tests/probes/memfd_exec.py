# expect: SUCCEEDED
# alone: seccomp
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
fd = os.memfd_create("program", 0)
with open("/usr/bin/python3.14", "rb") as source:
    os.write(fd, source.read())
argv = (ctypes.c_char_p * 4)(b"python", b"-c", b"print('ESCAPED: executed a memfd')", None)
libc.syscall(322, fd, b"", argv, None, 0x1000)  # execveat, AT_EMPTY_PATH
try:
    os.execve(fd, ["python", "-c", "print('ESCAPED: executed a memfd')"], {})
except OSError:
    pass
