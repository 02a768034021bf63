#!/usr/bin/env python3
"""What a notebook feels: the time of a cell and of a kernel's start, beside ipykernel in the same run.

    jupyter_bench.py [--json] [--cells 500] [--starts 10] [--server ADDRESS]

Like `cloister bench NAME --json`: one object on stdout with bench, machine, config, results, anchors, targets. Both kernels are
started and asked through jupyter_client, as front ends do, in turns, so that both meet the same machine: a cell is from the
request to the kernel being idle again, a start from the call to the answer to the first cell. One of each is made before the first that counts.
Needs the installed packages `cloister` and `cloister_kernel`, Debian's python3-ipykernel, and a server. Exit status 0 when it ran.
"""

import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time

from jupyter_client.manager import KernelManager

TURN = 25
CELL = "x=1"


class Kernel:
    """Ready when its first cell has been answered; jupyter_client's own wait_for_ready() would add 0.2 s in which nothing is done."""

    def __init__(self, name):
        self.manager = KernelManager(kernel_name=name)
        self.manager.start_kernel(stderr=subprocess.DEVNULL)
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        number = self.client.execute("6 * 7")
        while (reply := self.client.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != number:
            pass
        if reply["content"]["status"] != "ok":
            sys.exit(f"{name}: {reply['content']}")

    def run(self, code):
        reply = self.client.execute_interactive(code, output_hook=lambda message: None, timeout=60)
        if reply["content"]["status"] != "ok":
            sys.exit(f"{self.manager.kernel_name}: {reply['content']}")

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel()


def timed(action):
    begun = time.perf_counter()
    result = action()
    return time.perf_counter() - begun, result


def started(name):
    seconds, kernel = timed(lambda: Kernel(name))
    kernel.close()
    return seconds


def percentile(times, share):
    ordered = sorted(times)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e6, 1)


def measure(names, cells, starts):
    start_times = {name: [] for name in names}
    for turn in range(starts + 1):
        for name in names:
            seconds = started(name)
            if turn:
                start_times[name].append(seconds)
    kernels = {name: Kernel(name) for name in names}
    cell_times = {name: [] for name in names}
    for turn in range(cells // TURN + 1):
        for name, kernel in kernels.items():
            for _ in range(TURN):
                seconds = timed(lambda: kernel.run(CELL))[0]
                if turn:
                    cell_times[name].append(seconds)
    for kernel in kernels.values():
        kernel.close()
    return {name: {"cell_p50_us": percentile(cell_times[name], 0.5), "cell_p99_us": percentile(cell_times[name], 0.99),
                   "start_p50_us": percentile(start_times[name], 0.5), "start_max_us": percentile(start_times[name], 1)}
            for name in names}


def install(directory):
    """Both kernelspecs, seen by this process and its children only."""
    for module in ("cloister_kernel", "ipykernel"):
        subprocess.run([sys.executable, "-m", module, "install", "--prefix", directory, "--name", f"bench-{module}"],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.environ["JUPYTER_PATH"] = f"{directory}/share/jupyter"


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def target(name, measured, limit):
    return {"name": name, "measured": round(measured, 3), "limit": limit, "better": "lower", "met": measured <= limit}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="the object on one line")
    parser.add_argument("--cells", type=int, default=500)
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--server")
    options = parser.parse_args()
    if options.server:
        os.environ["CLOISTER_SERVER"] = options.server
    with tempfile.TemporaryDirectory() as directory:
        install(directory)
        found = measure(("bench-cloister_kernel", "bench-ipykernel"), options.cells, options.starts)
    ours, theirs = found["bench-cloister_kernel"], found["bench-ipykernel"]
    report = {
        "bench": "jupyter",
        "machine": {"cores": os.cpu_count(), "kernel": platform.release(), "cpu": processor(), "python": platform.python_version()},
        "config": {"cells": options.cells, "starts": options.starts, "cell": CELL},
        "results": ours,
        "anchors": {"ipykernel": theirs},
        "targets": [
            target("cell over ipykernel's (p50)", ours["cell_p50_us"] / theirs["cell_p50_us"], 0.5),
            target("kernel start over ipykernel's (p50)", ours["start_p50_us"] / theirs["start_p50_us"], 0.2),
        ],
    }
    print(json.dumps(report, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
