# expect: SUCCEEDED
for name in ("oom_score_adj", "mem", "uid_map", "gid_map", "setgroups", "attr/current", "coredump_filter", "loginuid"):
    try:
        with open(f"/proc/self/{name}", "r+b", buffering=0) as file:
            file.write(b"0")
        print("ESCAPED: wrote", name)
    except OSError:
        pass
