"""The PromQL in deploy/monitoring, and the metrics that the server has."""

import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
MONITORING = ROOT / "deploy" / "monitoring"

# Of metrics that Prometheus itself makes.
_FOREIGN = {"up"}


def known_metrics():
    """{name: set of its labels}, from the golden file that a unit test holds the server to."""
    known = {}
    kinds = {}
    for line in (ROOT / "tests" / "golden" / "metrics.txt").read_text().splitlines():
        declared = re.fullmatch(r"(\w+) (counter|gauge|histogram)", line)
        if declared:
            kinds[declared[1]] = declared[2]
            continue
        series = re.match(r"(\w+)\{(.*?)\}", line)
        labels = set(re.findall(r"(\w+)=\"", series[2]))
        names = [series[1]]
        if kinds[series[1]] == "histogram":
            names = [series[1] + suffix for suffix in ("_bucket", "_sum", "_count")]
        for name in names:
            known.setdefault(name, set()).update(labels | ({"le"} if name.endswith("_bucket") else set()))
    return known


def dashboard_queries():
    """(panel's title, expression) of every query of the dashboard."""
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    return [(panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel.get("targets", [])]


def alert_queries():
    """(file, expression) of the alerts; needs no YAML library, because the file is ours."""
    text = (MONITORING / "alerts.yaml").read_text()
    found = []
    for match in re.finditer(r"- alert: (\w+)\n\s+expr: (\|\n(?:\s{10,}.*\n)+|.*\n)", text):
        found.append((match[1], match[2].removeprefix("|\n").strip()))
    return found


def selectors(expression):
    """(metric, labels selected by or grouped by anywhere in the expression)."""
    metrics = {name for name in re.findall(r"\b(?:cloister|grpc_server)_\w+|\bup\b", expression)} - _FOREIGN
    grouped = {label.strip() for group in re.findall(r"\bby \(([^)]*)\)", expression) for label in group.split(",")}
    chosen = {}
    for name, inner in re.findall(r"\b((?:cloister|grpc_server)_\w+)\{([^}]*)\}", expression):
        chosen.setdefault(name, set()).update(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", inner))
    return metrics, grouped, chosen
