"""Who may include what: the rules of ARCHITECTURE.md, section Dependencies, as data.

A rule holds for the files below its directory; the longest directory wins. `project` lists prefixes of
our own headers a file may include beside those of its own directory; `external` names the groups of
libraries (below) it may use. What no group names may be used by everybody.
"""

from typing import NamedTuple


class Rule(NamedTuple):
    project: tuple
    external: frozenset


# Group -> prefixes of include paths that belong to it.
EXTERNAL_GROUPS = {
    "grpc": ("grpcpp/", "grpc/"),
    "prometheus": ("prometheus/",),
    "asio": ("asio.hpp", "asio/"),
    "cpython": ("Python.h", "structmember.h", "frameobject.h", "internal/pycore_"),
    "seccomp": ("seccomp.h", "linux/seccomp.h", "linux/filter.h", "linux/bpf"),
    "logging": ("spdlog/",),
    "cli": ("CLI/",),
    "kernel": (
        "arpa/", "asm/", "linux/", "sys/", "dirent.h", "fcntl.h", "grp.h", "netinet/", "poll.h", "pwd.h",
        "sched.h", "signal.h", "spawn.h", "syscall.h", "termios.h", "unistd.h",
    ),
}  # fmt: skip
ALL_EXTERNAL = frozenset(EXTERNAL_GROUPS)

# Generated headers, as they are included.
MESSAGES = ("cloister/v1/", "cloister/internal/v1/", "google/rpc/")

# What service/ sees of sandbox/.
SEAM = (
    "sandbox/guest_program.h", "sandbox/interpreter.h", "sandbox/mailbox.h", "sandbox/named_channel.h", "sandbox/program_runner.h",
    "sandbox/sandbox.h",
)  # fmt: skip


def rule(project=(), external=()):
    return Rule(tuple(project) + MESSAGES, frozenset(external))


RULES = {
    # Mechanism: no gRPC, no Prometheus, nothing of service/.
    "sandbox": rule(["sandbox/base/"]),
    "sandbox/base": rule(external=["kernel"]),
    "sandbox/wire": rule(["sandbox/base/"], ["kernel"]),
    "sandbox/clone": rule(["sandbox/base/"]),
    "sandbox/linux": rule(["sandbox/base/"], ["kernel", "seccomp"]),
    "sandbox/files": rule(["sandbox/base/", "sandbox/wire/", "sandbox/linux/"], ["kernel"]),
    "sandbox/zygote": rule(["sandbox/base/", "sandbox/wire/", "sandbox/linux/"], ["kernel", "seccomp"]),
    "sandbox/spawner": rule(
        ["sandbox/base/", "sandbox/wire/", "sandbox/linux/", "sandbox/zygote/"], ["kernel", "cli"]
    ),
    "sandbox/guest": rule(
        ["sandbox/base/", "sandbox/clone/", "sandbox/wire/", "sandbox/linux/", "sandbox/files/", "sandbox/zygote/"],
        ["kernel", "cpython"],
    ),
    "sandbox/host": rule(
        [*SEAM, "sandbox/base/", "sandbox/clone/", "sandbox/wire/", "sandbox/linux/cgroup_parse.h"],
        ["kernel", "asio"],
    ),
    # Decisions: no gRPC, no system calls.
    "service/base": rule(["sandbox/base/"], ["kernel"]),
    "service/core": rule(["service/base/", *SEAM, "sandbox/base/"]),
    "service/pool": rule(["service/base/", "service/core/", *SEAM, "sandbox/base/"]),
    # Who calls: no gRPC either.
    "service/identity": rule(["service/base/", "service/core/error.h", "sandbox/base/"], ["kernel"]),
    # Edges.
    "service/rpc": rule(
        ["service/base/", "service/core/", "sandbox/base/", "sandbox/clone/", "sandbox/guest_program.h"], ["grpc"]
    ),
    "service/observability": rule(
        ["service/base/", "service/core/", "sandbox/base/"], ["prometheus", "logging", "kernel"]
    ),
    # Everything meets here; Prometheus and CPython have one home each.
    "service/server": rule(["service/", "sandbox/"], ALL_EXTERNAL - {"prometheus", "cpython"}),
    "service/main.cc": rule(["service/", "sandbox/"], ALL_EXTERNAL - {"prometheus", "cpython"}),
    # Clients know the public protos only.
    "clients/cpp": Rule(("cloister/client/", "cloister/v1/", "google/rpc/"), frozenset(["grpc", "kernel"])),
    "clients/cli": Rule(
        ("cloister/client/", "clients/cli/bench/", "cloister/v1/", "google/rpc/"),
        frozenset(["grpc", "kernel", "cli"]),
    ),
    # Benchmarks start servers of their own: they know the configuration, and the echo that is the floor.
    "clients/cli/bench": Rule(
        ("cloister/client/", "clients/cli/", "cloister/v1/", "cloister/internal/v1/config", "cloister/internal/v1/echo"),
        frozenset(["grpc", "kernel", "cli"]),
    ),
    "tests": rule(["sandbox/", "service/", "clients/", "cloister/client/", "tests/"], ALL_EXTERNAL),
}
