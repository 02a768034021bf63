# expect: SUCCEEDED
# alone: seccomp
import ctypes, fcntl, os
libc = ctypes.CDLL(None, use_errno=True)
watcher = libc.inotify_init()
if watcher >= 0 and libc.inotify_add_watch(watcher, b"/usr/lib", 0x20) >= 0:
    print("ESCAPED: watches the shared image")
directory = os.open("/usr/lib", os.O_RDONLY)
for command, argument in ((1026, 0x20), (1024, fcntl.F_RDLCK), (10, 12), (8, os.getpid())):
    try:
        fcntl.fcntl(directory, command, argument)
        print("ESCAPED: fcntl", command)
    except OSError:
        pass
