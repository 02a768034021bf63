# expect: SUCCEEDED
for name in ("/proc/sysrq-trigger", "/proc/kcore", "/proc/kallsyms", "/proc/keys", "/proc/sys/kernel/core_pattern",
             "/proc/sys/kernel/hostname", "/proc/kmsg", "/proc/modules", "/proc/cmdline"):
    for mode in ("rb", "r+b"):
        try:
            with open(name, mode) as file:
                if mode == "r+b" or file.read(1):
                    print("ESCAPED: opened", name, mode)
        except OSError:
            pass
