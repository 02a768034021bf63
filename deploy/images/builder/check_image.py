"""Proves that a runtime image holds nothing a program inside could turn against its host.

    check_image.py ROOT PYTHON_VERSION

The builder runs it with the image's own interpreter, inside the image. Prints one line per finding;
exit status 1 when there is any.
"""

import os
import stat
import sys

# Of any kind, wherever they are and whatever their mode: a loader can start what is not executable.
FORBIDDEN_NAMES = frozenset(
    """
    sh bash dash ash ksh zsh csh tcsh busybox toybox
    cc gcc g++ c++ clang clang++ cpp ld as tcc make cmake
    apt apt-get aptitude dpkg dpkg-deb rpm snap pip pip3 debconf
    perl ruby node lua tclsh wish awk gawk mawk sed vi ed
    su sudo doas mount umount chroot unshare nsenter newuidmap newgidmap
    ssh curl wget nc ncat socat openssl gdb strace ptrace
    """.split()
)
FORBIDDEN_PATHS = (
    "usr/include",
    "usr/sbin",
    "usr/src",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/perl5",
    "var/lib/dpkg",
    "var/cache",
    "etc/apt",
    "etc/dpkg",
)
TOP_LEVEL = frozenset("bin dev etc lib lib64 proc sys tmp usr workspace".split())
FORBIDDEN_SUFFIXES = (".a", ".o", ".h", ".deb", ".pl")
EMPTY_DIRECTORIES = ("dev", "proc", "sys", "tmp", "workspace")
REQUIRED_PATHS = ("etc/passwd", "etc/group", "etc/hosts", "etc/ld.so.cache", "lib64/ld-linux-x86-64.so.2")


def runs_by_itself(path):
    """Whether it is an ELF file that names a program interpreter or is not position independent."""
    with open(path, "rb") as file:
        header = file.read(64)
        if len(header) < 64 or header[:4] != b"\x7fELF":
            return False
        if int.from_bytes(header[16:18], "little") == 2:  # ET_EXEC
            return True
        offset = int.from_bytes(header[32:40], "little")
        size = int.from_bytes(header[54:56], "little")
        count = int.from_bytes(header[56:58], "little")
        file.seek(offset)
        table = file.read(size * count)
    types = (int.from_bytes(table[i : i + 4], "little") for i in range(0, len(table), size or 1))
    return 3 in types  # PT_INTERP


def check_file(path, relative, version):
    """Yields what is wrong with one entry that is not a directory."""
    status = os.lstat(path)
    name = os.path.basename(relative)
    if name in FORBIDDEN_NAMES:
        yield "forbidden program"
    if stat.S_ISLNK(status.st_mode):
        return
    if not stat.S_ISREG(status.st_mode):
        yield "neither a file nor a directory nor a link"
        return
    if status.st_mode & (stat.S_ISUID | stat.S_ISGID):
        yield "setuid or setgid"
    if status.st_mode & stat.S_IWOTH:
        yield "writable by everybody"
    if "security.capability" in os.listxattr(path):
        yield "file capabilities"
    if name.endswith(FORBIDDEN_SUFFIXES):
        yield "of use only for building"
    shared_object = ".so" in name
    if status.st_mode & 0o111 and not shared_object and relative != f"usr/bin/python{version}":
        yield "executable"
    # libc.so.6 is a library that can be run; all it does then is to print its version.
    if runs_by_itself(path) and relative != f"usr/bin/python{version}" and not name.startswith("libc.so"):
        yield "a program"


def check(root, version):
    """Yields findings as "path: what"."""
    for path in FORBIDDEN_PATHS:
        if os.path.lexists(os.path.join(root, path)):
            yield f"{path}: must not exist"
    for name in sorted(set(os.listdir(root)) - TOP_LEVEL):
        yield f"{name}: not expected here"
    for path in REQUIRED_PATHS + (f"usr/bin/python{version}",):
        if not os.path.exists(os.path.join(root, path)):
            yield f"{path}: missing"
    for path in EMPTY_DIRECTORIES:
        try:
            if os.listdir(os.path.join(root, path)):
                yield f"{path}: must be empty"
        except OSError as error:
            yield f"{path}: {error.strerror}"
    for directory, subdirectories, files in os.walk(root):
        for name in files + [d for d in subdirectories if os.path.islink(os.path.join(directory, d))]:
            path = os.path.join(directory, name)
            relative = os.path.relpath(path, root)
            for what in check_file(path, relative, version):
                yield f"{relative}: {what}"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    findings = list(check(sys.argv[1], sys.argv[2]))
    print("\n".join(findings), end="\n" if findings else "")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
