"""Every metric and label that alerts and dashboard use is one that the server has, and the rules do what
their tests say."""

import subprocess
import unittest

import queries

# Labels that scraping adds.
ADDED = {"instance", "job", ""}


class NamesTest(unittest.TestCase):
    def setUp(self):
        self.known = queries.known_metrics()

    def check(self, where, expression):
        metrics, grouped, chosen = queries.selectors(expression)
        for name in metrics:
            self.assertIn(name, self.known, f"{where}: the server has no metric {name}")
        labels = set().union(*(self.known[name] for name in metrics)) | ADDED
        self.assertLessEqual(grouped, labels, f"{where}: grouped by labels that are not there")
        for name, selected in chosen.items():
            self.assertLessEqual(selected, self.known[name] | ADDED, f"{where}: {name} lacks labels")

    def test_dashboard(self):
        found = queries.dashboard_queries()
        self.assertGreater(len(found), 30)
        for title, expression in found:
            self.check(title, expression)

    def test_alerts(self):
        found = queries.alert_queries()
        text = (queries.MONITORING / "alerts.yaml").read_text()
        self.assertEqual(len(found), text.count("- alert:"))
        for name, expression in found:
            self.check(name, expression)

    def test_a_wrong_name_is_found(self):
        with self.assertRaises(AssertionError):
            self.check("typo", "sum(rate(cloister_admision_decisions_total[5m]))")
        with self.assertRaises(AssertionError):
            self.check("typo", 'cloister_ready{templat="x"}')

    def test_every_alert_has_a_rule_test(self):
        tests = (queries.MONITORING / "alerts_test.yaml").read_text()
        for name, _ in queries.alert_queries():
            self.assertIn(name, tests)

    def test_rules(self):
        for command in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]):
            ran = subprocess.run(["promtool", *command], cwd=queries.MONITORING, capture_output=True, text=True)
            self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)


if __name__ == "__main__":
    unittest.main()
