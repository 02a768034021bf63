#!/usr/bin/env python3
"""What the Python client costs: `run("x=1")` in a live sandbox, beside a raw grpcio echo of the same run.

    python_bench.py [--json] [--duration 10] [--server ADDRESS] [--cloister PROGRAM]

Like `cloister bench NAME --json`: one object on stdout with bench, machine, config, results, anchors, targets. One client,
one call after the other, in turns of a quarter of a second so that both meet the same machine; the first tenth is not counted.
The echo is a plain grpcio call of the same channel options, with a payload of 64 bytes, to the server that `cloister bench`
measures its floor with. Needs the installed package `cloister`, and a server. Exit status 0 when it ran.
"""

import argparse
import asyncio
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time

import google.protobuf
import grpc
from google.protobuf.internal import api_implementation

import cloister
from cloister import methods
from cloister.channel import address_or_default, channel_options
from cloister.v1 import execution_service_pb2 as pb

TURN = 0.25
PAYLOAD = b"\x0a\x40" + b"x" * 64  # an EchoRequest: field 1, 64 bytes


class EchoServer:
    """`cloister bench-echo-server` on a socket of its own; ends with its standard input."""

    def __init__(self, program):
        self.directory = tempfile.TemporaryDirectory()
        self.address = f"unix:{self.directory.name}/echo"
        self.process = subprocess.Popen([program, "bench-echo-server", "--listen", self.address], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.process.stdout.readline() != b"ready\n":
            sys.exit(f"{program}: no echo server")

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()
        self.directory.cleanup()


def percentile(sorted_times, share):
    return round(sorted_times[min(len(sorted_times) - 1, int(len(sorted_times) * share))] * 1e6, 1)


def latency(times):
    ordered = sorted(times[len(times) // 10:])
    return {"latency_p50_us": percentile(ordered, 0.5), "latency_p90_us": percentile(ordered, 0.9),
            "latency_p99_us": percentile(ordered, 0.99), "latency_max_us": percentile(ordered, 1), "latency_count": len(ordered)}


def in_turns(calls, duration):
    """Times of each of `calls` (name -> function), `duration` seconds each."""
    times = {name: [] for name in calls}
    end = time.perf_counter() + duration * len(calls)
    while time.perf_counter() < end:
        for name, call in calls.items():
            turn = time.perf_counter() + TURN
            while (begin := time.perf_counter()) < turn:
                call()
                times[name].append(time.perf_counter() - begin)
    return times


async def measure_async(address, duration):
    """Of `AsyncClient`, alone."""
    times = []
    async with cloister.AsyncClient(address) as client, client.sandbox() as sandbox:
        end = time.perf_counter() + duration
        while (begin := time.perf_counter()) < end:
            await sandbox.run("x=1")
            times.append(time.perf_counter() - begin)
    return times


def machine():
    cpu = next((line.partition(":")[2].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
    return {"cores": os.cpu_count(), "cpu": cpu, "kernel": platform.release(), "python": platform.python_version(),
            "grpcio": grpc.__version__, "protobuf": f"{google.protobuf.__version__} ({api_implementation.Type()})"}


def target(name, measured, limit):
    return {"name": name, "measured": round(measured, 1), "limit": round(limit, 1), "better": "lower", "met": measured <= limit}


def measure(options):
    address = address_or_default(options.server)
    echo_server = EchoServer(options.cloister)
    try:
        with grpc.insecure_channel(echo_server.address, options=channel_options(1 << 20)) as echo_channel, \
                grpc.insecure_channel(address, options=channel_options(64 << 20)) as raw_channel, \
                cloister.Client(address) as client, client.sandbox() as sandbox:
            echo = echo_channel.unary_unary("/cloister.internal.v1.EchoService/Echo")
            raw = raw_channel.unary_unary(methods.RUN_CODE.path, pb.RunCodeRequest.SerializeToString, pb.RunCodeResponse.FromString)
            request = pb.RunCodeRequest(interpreter=sandbox.name, program={"code": b"x=1"})
            times = in_turns({
                "echo": lambda: echo(PAYLOAD, timeout=60),
                "raw": lambda: raw(request, timeout=60),
                "run": lambda: sandbox.run("x=1"),
            }, options.duration)
    finally:
        echo_server.close()
    results = latency(times["run"])
    anchors = {"grpcio_echo": latency(times["echo"]), "grpcio_run_code": latency(times["raw"])}
    for name, value in latency(asyncio.run(measure_async(address, options.duration))).items():
        results[f"async_{name}"] = value
    floor = anchors["grpcio_echo"]["latency_p50_us"]
    return {
        "bench": "python", "machine": machine(),
        "config": {"server": address, "duration_s": options.duration, "code": "x=1"},
        "results": results, "anchors": anchors,
        "targets": [target("python run latency_p50_us against 1.5 x grpcio echo", results["latency_p50_us"], 1.5 * floor)],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--duration", type=lambda text: float(text.rstrip("s")), default=10.0, help="seconds of each phase; default 10")
    parser.add_argument("--server", help="address; default as of the client")
    parser.add_argument("--cloister", default=str(pathlib.Path(__file__).parents[2] / "build/release/bin/cloister"),
                        help="the command line program, which has the echo server")
    report = measure(parser.parse_args())
    if "--json" in sys.argv:
        print(json.dumps(report, indent=2))
        return
    for part in ("machine", "config", "results", "anchors"):
        print(part)
        for name, value in report[part].items():
            print(f"  {name:32} {value}")
    for each in report["targets"]:
        print(f"{'met' if each['met'] else 'MISSED'}: {each['name']}: {each['measured']} (limit {each['limit']})")


if __name__ == "__main__":
    main()
