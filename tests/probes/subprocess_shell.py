# expect: SUCCEEDED
# alone: seccomp
import subprocess
for command in (["/bin/sh", "-c", "echo ESCAPED"], ["/usr/bin/python3.14", "-c", "print('ESCAPED')"]):
    try:
        subprocess.run(command, check=False)
    except OSError:
        pass
