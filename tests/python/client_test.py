"""Running code in fresh sandboxes through `Client`, against a real server."""

import datetime
import decimal
import json
import math
import os
import signal
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

import hypothesis
import hypothesis.strategies as st
import numpy

import cloister
from support import ServerTest


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary() | st.complex_numbers(allow_nan=False)
    | st.decimals(allow_nan=False) | st.fractions() | st.uuids() | st.datetimes() | st.timedeltas() | st.dates() | st.times(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner)
    | st.sets(st.text() | st.integers()) | st.frozensets(st.binary()), max_leaves=20)


class RunTest(ServerTest):
    def test_a_value_and_what_was_written(self):
        result = self.client.run("import sys\nprint('out')\nprint('é', file=sys.stderr)\n{'a': [1, 2.5]}")
        self.assertEqual((result.value, result.text, result.stdout, result.stderr), ({"a": [1, 2.5]}, "{'a': [1, 2.5]}", "out\n", "é\n"))
        self.assertTrue(result.ok)
        self.assertIs(result.raise_for_outcome(), result)
        self.assertGreater(result.usage.wall_time, 0)
        self.assertEqual(result.usage.stdout_bytes, 4)
        self.assertTrue(result.execution.startswith("executions/"))
        self.assertEqual(result.limits.wall_time, 10)

    def test_no_value(self):
        self.assertIsNone(self.client.run("x = 1").value)
        self.assertEqual(self.client.run("x = 1").text, "")
        self.assertIsNone(self.client.run("1", value=False).value)

    def test_inputs(self):
        result = self.client.run(
            "import os, sys\n(sys.stdin.read(), sys.argv[1:], os.environ['K'], open('a/b').read(), n * 2, __file__)",
            stdin="in", args=["--x"], environment={"K": "v"}, files={"a/b": b"file"}, variables={"n": 21}, file_name="x.py")
        self.assertEqual(result.value, ("in", ["--x"], "v", "file", 42, "x.py"))

    def test_files_back(self):
        result = self.client.run("open('out', 'w').write('x' * 10)", return_files=["out", "none"])
        self.assertEqual(result.files["out"].content, b"x" * 10)
        self.assertIn("", result.files["none"].error)
        self.assertTrue(result.files["none"].error)

    def test_an_exception(self):
        result = self.client.run("def f(): raise KeyError('k')\ntry: f()\nexcept KeyError as e: raise ValueError('v') from e")
        self.assertFalse(result.ok)
        exception = result.outcome.exception
        self.assertEqual((str(exception), exception.cause.type, exception.frames[-1].line), ("ValueError: v", "KeyError", 3))
        with self.assertRaisesRegex(cloister.Raised, "ValueError: v") as caught:
            result.raise_for_outcome()
        self.assertIs(caught.exception.result, result)
        self.assertIn("Traceback", caught.exception.outcome.exception.traceback)
        with self.assertRaises(cloister.Raised):
            self.client.run("1/0", check=True)

    def test_other_ends(self):
        cases = {"import sys; sys.exit(3)": (cloister.Exited, "EXITED"), "while True: pass": (cloister.LimitExceeded, "WALL_TIMEOUT"),
                 "import os; os.abort()": (cloister.Died, "SIGNALED"), "b = []\nwhile True: b.append(bytearray(10**6))": (cloister.LimitExceeded, "MEMORY_LIMIT")}
        for code, (kind, name) in cases.items():
            result = self.client.run(code, limits=cloister.Limits(wall_time=0.5, memory_bytes=64 << 20))
            with self.subTest(name), self.assertRaises(kind) as caught:
                result.raise_for_outcome()
            self.assertEqual(caught.exception.outcome.kind.name, name)
        self.assertTrue(self.client.run("import sys; sys.exit(0)").ok)

    def test_output_is_cut_and_said_so(self):
        result = self.client.run("import sys\nprint('x' * 5000)", limits=cloister.Limits(output_bytes=1000))
        self.assertEqual(result.outcome.kind, cloister.OutcomeKind.OUTPUT_LIMIT)
        self.assertEqual(len(result.stdout), 1000)

    def test_values_both_ways(self):
        loop = [1]
        loop.append(loop)
        given = {"when": datetime.datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=__import__("zoneinfo").ZoneInfo("Europe/Zurich")),
                 "price": decimal.Decimal("1.10"), "big": 10**50, "nan": math.nan, "set": {1, (2, 3)}, "loop": loop, "error": ValueError("x")}
        got = self.client.run("v", variables={"v": given}).value
        self.assertEqual(list(got), list(given))
        self.assertEqual((got["when"], got["when"].fold, got["price"], got["big"], got["set"]), (given["when"], 1, given["price"], 10**50, given["set"]))
        self.assertIs(got["loop"][1], got["loop"])
        self.assertEqual(repr(got["error"]), "ValueError('x')")
        array = numpy.arange(12, dtype="<f4").reshape(3, 4)
        numpy.testing.assert_array_equal(self.client.run("import array\nv", variables={"v": [1]}).value, [1])
        self.assertIn("numpy", self.client.run("v", variables={"v": array}).outcome.exception.message)  # not in that image
        deep = ()
        for _ in range(900):
            deep = (deep,)
        got = self.client.run("v", variables={"v": deep}).value
        for _ in range(900):
            (got,) = got
        self.assertEqual(got, ())

    def test_what_cannot_be_cloned_is_text_and_the_way_to_it(self):
        result = self.client.run("import sys\n{'users': [1, {'socket': sys}]}")
        self.assertIn("'socket'", result.text)
        with self.assertRaises(cloister.CloneError) as caught:
            result.value
        self.assertEqual(caught.exception.path, "$.users[1].socket")
        with self.assertRaisesRegex(cloister.CloneError, r"variables.v\[0\]: .*TextIOWrapper"):
            self.client.run("", variables={"v": [__import__("sys").stdin]})

    @hypothesis.settings(max_examples=60, deadline=None, derandomize=True)
    @hypothesis.given(anything)
    def test_whatever_is_sent_comes_back(self, value):
        got = self.client.run("v", variables={"v": [value, value]}).value
        self.assertEqual(got, [value, value])

    def test_what_is_no_input(self):
        for wrong in ({"code": 5}, {"code": None}, {"code": "", "stdin": 3}, {"code": "", "files": {"f": 1}}):
            with self.assertRaises(TypeError):
                self.client.run(**wrong)
        with self.assertRaises(ValueError):
            self.client.run("", limits=cloister.Limits(wall_time=math.inf))

    def test_a_closed_client(self):
        client = cloister.Client(self.server.address)
        client.run("1")
        client.close()
        client.close()
        for use in (lambda: client.run("1"), lambda: client.stream("1")):
            with self.assertRaisesRegex(cloister.CloisterError, "is closed"):
                use()

    def test_classes(self):
        code = "import dataclasses\n@dataclasses.dataclass\nclass P:\n    x: int\nP(7)"
        self.assertEqual(self.client.run(code).value.x, 7)
        kind = __import__("dataclasses").make_dataclass("P", ["x"])
        kind.__module__ = "__main__"
        with cloister.Client(self.server.address, classes=[kind]) as client:
            self.assertEqual(client.run(code).value, kind(7))

    def test_calls(self):
        self.assertEqual(self.client.call("math:factorial", 20), math.factorial(20))
        self.assertEqual(self.client.call("builtins:dict", function=1, self=2), {"function": 1, "self": 2})
        self.assertIsNone(self.client.call("builtins:print", "x"))
        with self.assertRaisesRegex(cloister.Raised, "ValueError"):
            self.client.call("math:sqrt", -1)
        result = self.client.call_function("f", [2], code="def f(n): print('hi'); return n ** 10")
        self.assertEqual((result.value, result.stdout), (1024, "hi\n"))

    def test_functions_of_this_process(self):
        @self.client.function
        def triangle(n):
            """Of n."""
            return sum(range(n))

        self.assertEqual((triangle(5), triangle.__doc__), (10, "Of n."))

        @self.client.function(limits=cloister.Limits(wall_time=0.3))
        def endless():
            while True:
                pass

        with self.assertRaises(cloister.LimitExceeded):
            endless()

    def test_requests_that_are_wrong(self):
        with self.assertRaises(cloister.InvalidRequest) as caught:
            self.client.run("", limits=cloister.Limits(wall_time=10_000), files={"/abs": b""})
        self.assertEqual(caught.exception.reason, "FIELD_INVALID")
        self.assertEqual({field for field, _ in caught.exception.fields}, {"limits.wall_time", "program.files[0].path"})
        with self.assertRaises(cloister.NotFound) as caught:
            self.client.run("", template="none")
        self.assertEqual((caught.exception.reason, caught.exception.metadata["known"]), ("TEMPLATE_UNKNOWN", "python3.14"))

    def test_server_info(self):
        info = self.client.info()
        self.assertTrue(info.ready)
        self.assertEqual(info.templates[0].name, "python3.14")
        self.assertTrue(any(layer.name == "seccomp" and layer.in_force for layer in info.layers))


class ArraysTest(ServerTest):
    config = """
      templates { name: "data" image: "python3.14-data" warm_up_imports: "numpy" pool { minimum_ready: 1 } }
    """

    def test_there_and_back(self):
        records = numpy.zeros(2, [("name", "U3"), ("price", "<f8")])
        for array in (numpy.arange(12, dtype="<f4").reshape(3, 4), numpy.arange(6).reshape(2, 3).T, numpy.array(["2024-01-01"], "M8[D]"),
                      numpy.empty((0, 3)), numpy.array(7), records):
            result = self.client.run("(type(a).__name__, a.dtype.str, a.shape, a)", variables={"a": array})
            name, dtype, shape, got = result.raise_for_outcome().value
            self.assertEqual((name, dtype, shape), ("ndarray", array.dtype.str, array.shape))
            numpy.testing.assert_array_equal(got, array)
            self.assertEqual(got.dtype, array.dtype)
        self.assertEqual(self.client.call("numpy:cumsum", numpy.ones(1000))[-1], 1000)


class LimitsOfMessagesTest(ServerTest):
    def test_large_results(self):
        limits = cloister.Limits(output_bytes=12 << 20)
        result = self.client.run("print('x' * (10 << 20))\nb'y' * (10 << 20)", limits=limits)
        self.assertEqual((len(result.stdout), len(result.value)), ((10 << 20) + 1, 10 << 20))

    def test_what_the_client_does_not_take(self):
        with cloister.Client(self.server.address, message_bytes=1 << 20) as client:
            with self.assertRaisesRegex(cloister.ResourceExhausted, "message_bytes"):
                client.run("b'y' * (2 << 20)")
            self.assertEqual(client.run("1").value, 1)

    def test_what_the_server_does_not_take(self):
        with cloister.Client(self.server.address, message_bytes=1 << 30, timeout=60) as client:
            with self.assertRaises(cloister.ServiceError):
                client.run("", stdin=b"x" * (200 << 20))
            with self.assertRaises(cloister.InvalidRequest):
                client.run("", stdin=b"x" * (20 << 20))
            self.assertEqual(client.run("1").value, 1)

    def test_a_value_of_too_many_parts(self):
        result = self.client.run("list(range(100_000))")
        with self.assertRaisesRegex(cloister.CloneError, "20000|values"):
            result.value
        self.assertTrue(result.text.startswith("[0, 1"))
        self.assertEqual(self.client.run("import array; array.array('q', range(100_000))").value[-1], 99_999)


class ManyThreadsTest(ServerTest):
    def test_one_client_for_all(self):
        sandbox = self.sandbox()
        with ThreadPoolExecutor(16) as pool:
            fresh = list(pool.map(lambda n: self.client.run(f"{n} * 2").value, range(100)))
            live = list(pool.map(lambda n: sandbox.run(f"{n} * 2").value, range(100)))
        self.assertEqual(fresh, [n * 2 for n in range(100)])
        self.assertEqual(live, fresh)


class EndsTest(ServerTest):
    """Whatever ends a call at this side ends what runs for it at the other."""

    def test_a_deadline(self):
        sandbox = self.sandbox()
        with self.assertRaises(cloister.DeadlineExceeded):
            sandbox.run("import time; time.sleep(60)", timeout=0.3, limits=cloister.Limits(wall_time=60))
        self.wait_until_idle(sandbox)
        self.assertEqual(sandbox.run("1").value, 1)

    def test_a_client_that_is_closed(self):
        sandbox = self.sandbox()
        other = cloister.Client(self.server.address)
        failed = threading.Event()

        def run():
            try:
                other.open_sandbox(sandbox.name).run("import time; time.sleep(60)", limits=cloister.Limits(wall_time=60))
            except cloister.CloisterError:
                failed.set()

        thread = threading.Thread(target=run)
        thread.start()
        self.wait_until(lambda: sandbox.info().state is cloister.State.BUSY, "it runs")
        other.close()
        thread.join(20)
        self.assertTrue(failed.is_set())
        self.wait_until_idle(sandbox)

    def test_ctrl_c(self):
        sandbox = self.sandbox()
        me = os.getpid()

        def press():
            self.wait_until(lambda: sandbox.info().state is cloister.State.BUSY, "it runs")
            os.kill(me, signal.SIGINT)

        thread = threading.Thread(target=press)
        thread.start()
        try:
            with self.assertRaises(KeyboardInterrupt) as caught:
                sandbox.run("import time; time.sleep(60)", limits=cloister.Limits(wall_time=60))
            thread.join()
            self.wait_until_idle(sandbox)  # although the traceback is still held
            self.assertIsNotNone(caught.exception)
        finally:
            thread.join()

    def test_ctrl_c_in_a_stream(self):
        sandbox = self.sandbox()
        execution = sandbox.stream("import time; print(1, flush=True); time.sleep(60)", limits=cloister.Limits(wall_time=60))
        next(execution), next(execution)
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        with self.assertRaises(KeyboardInterrupt):
            next(execution)
        self.wait_until_idle(sandbox)


if __name__ == "__main__":
    unittest.main()
