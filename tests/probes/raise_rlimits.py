# expect: SUCCEEDED
import resource
for name in ("RLIMIT_NOFILE", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_CORE"):
    number = getattr(resource, name)
    soft, hard = resource.getrlimit(number)
    if hard == resource.RLIM_INFINITY:
        print("ESCAPED: no limit on", name)
        continue
    try:
        resource.setrlimit(number, (hard + 1, hard + 1))
        print("ESCAPED: raised", name)
    except (ValueError, OSError):
        pass
