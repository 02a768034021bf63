# expect: SUCCEEDED
fields = dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
    if int(fields[name], 16):
        print("ESCAPED: has capabilities", name, fields[name])
if fields["NoNewPrivs"] != "1" or fields["Seccomp"] != "2":
    print("ESCAPED: NoNewPrivs", fields["NoNewPrivs"], "Seccomp", fields["Seccomp"])
