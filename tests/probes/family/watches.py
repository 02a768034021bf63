# expect: SUCCEEDED
# ---- past
import ctypes, os, select
libc = ctypes.CDLL(None, use_errno=True)
image = "/usr/lib/os-release" if os.path.exists("/usr/lib/os-release") else "/usr/lib"
# ---- victim
os.stat(image)
# ---- attack
watcher = libc.inotify_init()
if watcher >= 0:
    for path in (b"/usr/lib", b"/usr", b"/proc/1", b"/proc/self/root"):
        if libc.inotify_add_watch(watcher, path, 0xfff) >= 0:
            print("ESCAPED: watches", path)
if libc.syscall(300, 0, 0) >= 0:  # fanotify_init
    print("ESCAPED: fanotify")
# ---- check
print("unharmed")
