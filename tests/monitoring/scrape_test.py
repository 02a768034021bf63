"""A real Prometheus with deploy/monitoring/prometheus.yml scrapes a real server under load: the target is
up, every alert's and every panel's query is understood, and those of what happened have values."""

import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

import queries

BINARIES = pathlib.Path(sys.argv.pop(1))
# A condition that does not come true by then never will.
PATIENCE_S = 60


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, condition):
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError(f"not within {PATIENCE_S} s: {what}")


class ScrapeTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = pathlib.Path(scratch.name)
        self.scratch.chmod(0o755)
        self.server = f"unix:{self.scratch}/cloister.sock"
        metrics = f"127.0.0.1:{free_port()}"
        self.start("server", [BINARIES / "cloisterd", "--listen", self.server, "--metrics_listen", metrics])
        self.url = f"http://127.0.0.1:{free_port()}"
        config = (queries.MONITORING / "prometheus.yml").read_text()
        config = config.replace("127.0.0.1:9464", metrics).replace("15s", "1s")
        config = config.replace("alerts.yaml", str(queries.MONITORING / "alerts.yaml"))
        (self.scratch / "prometheus.yml").write_text(config)
        self.start("prometheus", [
            "prometheus", f"--config.file={self.scratch}/prometheus.yml", f"--storage.tsdb.path={self.scratch}/data",
            f"--web.listen-address={self.url.removeprefix('http://')}"])

    def start(self, name, command):
        log = open(self.scratch / f"{name}.log", "w")
        process = subprocess.Popen(command, stdout=log, stderr=log)

        def end():
            process.terminate()
            process.wait(timeout=60)
            log.close()
        self.addCleanup(end)

    def cloister(self, *arguments):
        return subprocess.run([BINARIES / "cloister", "--server", self.server, *arguments], capture_output=True, text=True)

    def get(self, path, **parameters):
        """`data` of an answer; None while nobody answers. A query that is refused fails the test."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as refused:
            if refused.code == 503:
                return None
            raise AssertionError(f"{parameters}: {refused.read().decode()}") from refused
        except OSError:
            return None

    def value(self, expression):
        data = self.get("query", query=expression)
        return float(data["result"][0]["value"][1]) if data and data["result"] else None

    def test_scrapes_a_loaded_server(self):
        wait_for("a server that is ready", lambda: ": ready" in self.cloister("info").stdout)
        wait_for("a target that is up", lambda: self.value('up{job="cloister"}') == 1)
        wait_for("a first sample", lambda: self.value("cloister_executions_finished_total") is not None)
        for _ in range(20):
            self.assertEqual(self.cloister("run", "-c", "print(1)").stdout, "1\n")
        self.assertEqual(self.cloister("run", "-c", "1/0").returncode, 1)
        sandbox = self.cloister("sandbox", "create").stdout.strip()
        self.assertEqual(self.cloister("exec", sandbox, "-c", "x = 1").returncode, 0)

        finished = 'sum(cloister_executions_finished_total{kind="one_shot", outcome="%s"})'
        wait_for("what ran to its end", lambda: self.value(finished % "succeeded") == 20)
        wait_for("what raised", lambda: self.value(finished % "raised") == 1)
        wait_for("the live sandbox", lambda: self.value("sum(cloister_live_sandboxes)") == 1)
        self.assertEqual(self.value("cloister_live_sandboxes_limit"), 256)
        self.assertEqual(self.value("cloister_ready"), 1)
        rate = 'sum(rate(grpc_server_call_finished_total{grpc_method="cloister.v1.ExecutionService/Execute"}[1m]))'
        wait_for("a rate of calls", lambda: (self.value(rate) or 0) > 0)
        self.check_every_query()
        self.check_alerts()

    def check_every_query(self):
        with_values = 0
        for title, expression in queries.dashboard_queries():
            expression = expression.replace("$__rate_interval", "1m").replace("$instance", ".*")
            data = self.get("query", query=expression)
            self.assertIsNotNone(data, title)
            with_values += bool(data["result"])
        self.assertEqual(with_values, len(queries.dashboard_queries()), "panels without any series")

    def check_alerts(self):
        def healthy():
            data = self.get("rules")
            rules = [rule for group in data["groups"] for rule in group["rules"]] if data else []
            return rules if rules and all(rule["health"] == "ok" for rule in rules) else None
        rules = wait_for("all rules evaluated", healthy)
        self.assertEqual({rule["name"] for rule in rules}, {name for name, _ in queries.alert_queries()})
        firing = [rule["name"] for rule in rules if rule["state"] == "firing"]
        self.assertEqual(firing, [], "alerts at a server that is well")


if __name__ == "__main__":
    unittest.main()
