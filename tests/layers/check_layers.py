"""Checks every #include of the project against include_rules.py.

    check_layers.py ROOT

Prints one line per violation, "file:line: what"; exit status 1 when there is any, or nothing to check.
"""

import pathlib
import re
import sys

import include_rules

SOURCE_DIRECTORIES = ("sandbox", "service", "clients", "tests")
# First parts of a path that is written from the project's root.
PROJECT_PREFIXES = ("sandbox/", "service/", "clients/", "tests/", "cloister/", "google/rpc/")
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')


def find_rule(path):
    """The rule of the longest directory that `path` (relative, with slashes) is in, and its name."""
    part = path
    while part:
        if part in include_rules.RULES:
            return part, include_rules.RULES[part]
        part = part.rpartition("/")[0]
    return None, None


def violation(path, quoted, angled):
    """What is wrong with one include of the file `path`, or None."""
    name, rule = find_rule(path)
    if rule is None:
        return "no rule for this directory in tests/layers/include_rules.py"
    included = quoted or angled
    if "tests/" in included and not path.startswith("tests/"):
        return f"{included}: nothing outside tests/ includes tests/"
    if included.startswith(PROJECT_PREFIXES):
        own = f"{name}/"
        if included.startswith(own) and find_rule(included)[0] == name:
            return None
        if not included.startswith(rule.project):
            return f"{included}: {name} may not include it"
        if included.endswith(".grpc.pb.h") and "grpc" not in rule.external:
            return f"{included}: {name} may not use gRPC"
        return None
    for group, prefixes in include_rules.EXTERNAL_GROUPS.items():
        if included.startswith(prefixes) and group not in rule.external:
            return f"{included}: {name} may not use {group}"
    if quoted and "/" not in included and included.endswith((".h", ".inc")) and not is_library(included):
        return f"{included}: write includes from the project's root"
    return None


def is_library(included):
    return any(included.startswith(p) for prefixes in include_rules.EXTERNAL_GROUPS.values() for p in prefixes)


def check(root):
    """Returns violations and the number of files looked at."""
    found, count = [], 0
    for directory in SOURCE_DIRECTORIES:
        for file in sorted(pathlib.Path(root, directory).rglob("*")):
            if file.suffix not in (".h", ".cc"):
                continue
            count += 1
            path = file.relative_to(root).as_posix()
            for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
                match = INCLUDE.match(line)
                what = violation(path, match[1], match[2]) if match else None
                if what:
                    found.append(f"{path}:{number}: {what}")
    return found, count


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found, count = check(sys.argv[1])
    print("\n".join(found + [f"{count} files, {len(found)} violations"]))
    sys.exit(1 if found or count == 0 else 0)


if __name__ == "__main__":
    main()
