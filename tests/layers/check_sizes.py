"""Keeps files small enough to be read in one sitting.

    check_sizes.py ROOT

A file of more than 400 lines is an error; headers of more than 200 and functions of more than 60 are
reported, because a table or a switch can have a reason. Exit status 1 when there is an error.
"""

import pathlib
import re
import sys

MAX_FILE, MAX_HEADER, MAX_FUNCTION = 400, 200, 60
SOURCE_DIRECTORIES = ("sandbox", "service", "clients", "proto", "deploy", "tests")
SUFFIXES = (".h", ".cc", ".py", ".sh", ".proto", ".cmake")
# Tables: one row per fact, nothing to follow.
TABLES = frozenset(["sandbox/linux/seccomp_table.cc"])
# What opens a brace at the start of a line and is no function.
NOT_FUNCTION = re.compile(r"^(namespace|template|class|struct|enum|union|extern|using|const|constexpr|static const|\}|#|//)")


def functions(lines):
    """Yields (line number, length) of functions of a formatted file: bodies that end with "}" in column 1."""
    start = None
    for number, line in enumerate(lines, 1):
        if line[:1] not in ("", " ", "}", "#", "/") and start is None and not NOT_FUNCTION.match(line):
            start = number
        if start is not None and (line.startswith("}") or line.endswith(";") and line[:1] != " "):
            if line.startswith("}"):
                yield start, number - start + 1
            start = None


def check(root):
    """Returns errors and remarks."""
    errors, remarks = [], []
    for directory in SOURCE_DIRECTORIES:
        for file in sorted(pathlib.Path(root, directory).rglob("*")):
            if file.suffix not in SUFFIXES:
                continue
            path = file.relative_to(root).as_posix()
            lines = file.read_text(encoding="utf-8").splitlines()
            if len(lines) > MAX_FILE and path not in TABLES:
                errors.append(f"{path}: {len(lines)} lines, at most {MAX_FILE}: split it by idea")
            elif file.suffix == ".h" and len(lines) > MAX_HEADER:
                remarks.append(f"{path}: {len(lines)} lines, a header should have at most {MAX_HEADER}")
            if file.suffix in (".h", ".cc"):
                for number, length in functions(lines):
                    if length > MAX_FUNCTION:
                        remarks.append(f"{path}:{number}: a function of {length} lines, should be at most {MAX_FUNCTION}")
    return errors, remarks


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    errors, remarks = check(sys.argv[1])
    for line in errors:
        print("error:", line)
    for line in remarks:
        print("remark:", line)
    print(f"{len(errors)} errors, {len(remarks)} remarks")
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
