# expect: SUCCEEDED
# stdout: limited, and nobody raises it
# stdout as cell: unlimited: each execution has a limit of its own, from the host
import resource
soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
if hard == resource.RLIM_INFINITY:
    print("unlimited: each execution has a limit of its own, from the host")
else:
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (hard + 1, hard + 1))
        print("ESCAPED: raised it")
    except (ValueError, OSError):
        print("limited, and nobody raises it")
