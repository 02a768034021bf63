"""Maps: one program over many inputs."""

import itertools
import time
import unittest
from unittest import mock

import cloister
from cloister import mapping
from support import ServerTest


def slow_square(n):
    import time

    time.sleep(0.02)
    if n == 13:
        raise ValueError("unlucky")
    return n * n


class MapTest(ServerTest):
    def test_a_function_of_this_process(self):
        verdicts = list(self.client.map(slow_square, range(20)))
        self.assertEqual([verdict.index for verdict in verdicts], list(range(20)))
        self.assertEqual([verdict.value for verdict in verdicts if verdict.ok], [n * n for n in range(20) if n != 13])
        with self.assertRaisesRegex(cloister.Raised, "unlucky"):
            verdicts[13].value

    def test_inputs_of_all_kinds(self):
        value = lambda *args, **options: [verdict.value for verdict in self.client.map(*args, **options)]
        self.assertEqual(value("a + b", [{"a": 1, "b": 2}, {"a": "x", "b": "y"}]), [3, "xy"])
        self.assertEqual(value("sum(map(int, input().split()))", ["1 2", b"3 4"]), [3, 7])
        self.assertEqual(value("", [(2, 3), (3, 2)], function="builtins:pow"), [8, 9])
        self.assertEqual(value("def f(x): return len(x)", [[1, 2], "abc", ((1, 2, 3, 4),)], function="f"), [2, 3, 4])
        self.assertEqual(value("def f(x): import sys; return x + k + sys.stdin.read()", [cloister.Input(("a",), stdin="c")], function="f", variables={"k": "b"}), ["abc"])
        with self.assertRaises(TypeError):
            list(self.client.map("1", [3]))
        self.assertEqual(value("1", []), [])

    def test_verdicts_have_all_there_is(self):
        (verdict,) = self.client.map("print('out')\nopen('f', 'w').write('x')", [{}], return_files=["f"])
        self.assertEqual((verdict.stdout, verdict.files["f"].content, verdict.outcome.ok), ("out\n", b"x", True))

    def test_as_they_are_reached(self):
        verdicts = list(self.client.map("import time; time.sleep(n)", [{"n": 1.0}, {"n": 0}, {"n": 0}], ordered=False, concurrency=3))
        self.assertEqual(verdicts[-1].index, 0)

    def test_stop_on_failure(self):
        run = self.client.map("1 / n", [{"n": n} for n in (1, 2, 0, *range(1, 50))], stop_on_failure=True, concurrency=1)
        verdicts = list(run)
        self.assertEqual([verdict.ok for verdict in verdicts], [True, True, False])
        self.assertEqual((run.succeeded_count, run.failed_count, run.skipped_count), (2, 1, 49))

    def test_inputs_of_an_iterator_go_in_parts(self):
        with mock.patch.object(mapping, "_CALL_INPUTS_OF_ITERATORS", 7):
            verdicts = list(self.client.map("n", ({"n": n} for n in range(30))))
        self.assertEqual([(verdict.index, verdict.value) for verdict in verdicts], [(n, n) for n in range(30)])
        with mock.patch.object(mapping, "_CALL_BYTES", 1000):
            sizes = [verdict.value for verdict in self.client.map("len(s)", ({"s": "x" * 400} for _ in range(10)))]
        self.assertEqual(sizes, [400] * 10)

    def test_an_endless_iterator_that_is_left(self):
        begin = time.monotonic()
        with mock.patch.object(mapping, "_CALL_INPUTS_OF_ITERATORS", 5), self.client.map("n", ({"n": n} for n in itertools.count())) as run:
            self.assertEqual([next(run).value for _ in range(12)], list(range(12)))
        self.assertEqual(list(run), [])
        self.assertLess(time.monotonic() - begin, 20)

    def test_what_is_left_runs_no_more(self):
        run = self.client.map("import time; time.sleep(n)", [{"n": 0}] + [{"n": 60}] * 10, limits=cloister.Limits(wall_time=60))
        next(run)
        run.cancel()
        leased = lambda: self.client.info().message.templates[0].pool.leased_count
        self.wait_until(lambda: leased() == 0, "no sandbox is in use")

    def test_a_map_that_is_refused(self):
        with self.assertRaises(cloister.NotFound):
            list(self.client.map("1", [{}], template="none"))
        with self.assertRaises(cloister.InvalidRequest):
            list(self.client.map("1", [{}], concurrency=65))
        with self.assertRaisesRegex(cloister.CloneError, r"variables.x: "):
            list(self.client.map("1", [{"x": self}]))

    def test_an_input_that_is_too_large_for_itself(self):
        with self.assertRaises(cloister.ServiceError):
            list(self.client.map("1", [b"x" * (20 << 20)]))

    def test_progress(self):
        try:
            import tqdm  # noqa: F401
        except ImportError:
            self.fail("tqdm is missing; tests/run.sh installs it")
        bar = mock.Mock()
        with mock.patch("tqdm.auto.tqdm", return_value=bar) as made:
            list(self.client.map("1", [{}] * 3, progress=True))
        made.assert_called_once_with(total=3, unit="run")
        self.assertEqual((bar.update.call_count, bar.close.call_count), (3, 1))
        with mock.patch.dict("sys.modules", {"tqdm.auto": None}):  # not installed
            self.assertEqual(len(list(self.client.map("1", [{}] * 3, progress=True))), 3)


if __name__ == "__main__":
    unittest.main()
