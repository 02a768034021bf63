"""`cloister.Executor` behaves as the executors of concurrent.futures do."""

import concurrent.futures
import gc
import math
import os
import subprocess
import sys
import threading
import time
import unittest
import weakref
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION, BrokenExecutor, CancelledError
from unittest import mock

import cloister
from support import ServerTest

state = {"ready": 0}


def double(n):
    return n * 2


def nap(seconds):
    import time

    time.sleep(seconds)
    return seconds


def fail(message="no"):
    raise ValueError(message, 7) if message == "two" else ValueError(message)


def missing():
    return {}["key"]


def leave(code):
    import sys

    sys.exit(code)


class Custom(Exception):
    pass


def fail_customly():
    raise Custom("mine")


def set_up(value):
    global ready
    ready = value


def is_ready(n=0):
    return ready + n  # noqa: F821  set_up() made it


def count():
    global counted
    try:
        counted += 1
    except NameError:
        counted = 1
    return counted


def die():
    import os

    os.kill(os.getpid(), 9)


class ExecutorTest(ServerTest):
    def executor(self, max_workers=3, **options):
        executor = cloister.Executor(self.client, max_workers, **options)
        self.addCleanup(executor.shutdown, cancel_futures=True)
        return executor

    # ---- submit, result, exceptions

    def test_submit(self):
        executor = self.executor()
        self.assertEqual(executor.submit(pow, 2, 8).result(), 256)
        self.assertEqual(executor.submit(double, n=21).result(), 42)
        self.assertEqual(executor.submit(dict, self=1, fn=2).result(), {"self": 1, "fn": 2})
        self.assertIsInstance(executor, concurrent.futures.Executor)

    def test_a_result_in_time(self):
        future = self.executor().submit(nap, 1.5)
        with self.assertRaises(concurrent.futures.TimeoutError):
            future.result(timeout=0.1)
        self.assertTrue(future.running())
        self.assertEqual(future.result(timeout=20), 1.5)
        self.assertTrue(future.done())

    def test_exceptions_are_of_their_class(self):
        executor = self.executor()
        with self.assertRaises(ValueError) as caught:
            executor.submit(fail, "bad").result()
        self.assertEqual(caught.exception.args, ("bad",))
        self.assertIsInstance(caught.exception.__cause__, cloister.Raised)
        self.assertIn("in fail", caught.exception.__cause__.outcome.exception.traceback)
        with self.assertRaises(KeyError) as caught:
            executor.submit(missing).result()
        self.assertEqual(caught.exception.args, ("key",))
        self.assertIsInstance(executor.submit(divmod, 1, 0).exception(), ZeroDivisionError)

    def test_exceptions_that_are_not_the_sandboxs_to_raise(self):
        executor = self.executor()
        error = executor.submit(fail_customly).exception()
        self.assertIsInstance(error, cloister.Raised)
        self.assertEqual(error.outcome.exception.type, "Custom")
        self.assertIsInstance(executor.submit(leave, 3).exception(), cloister.Exited)
        self.assertIsInstance(self.executor(limits=cloister.Limits(wall_time=0.3)).submit(nap, 60).exception(), cloister.LimitExceeded)

    def test_what_cannot_go(self):
        executor = self.executor()
        self.assertIsInstance(executor.submit(lambda: 0).exception(), cloister.NotPortable)
        self.assertIsInstance(executor.submit(double, self).exception(), cloister.CloneError)
        self.assertIsInstance(executor.submit(vars, []).exception(), TypeError)

    def test_callbacks(self):
        called = threading.Event()
        future = self.executor().submit(double, 1)
        future.add_done_callback(lambda done: called.set() if done is future else None)
        self.assertTrue(called.wait(20))

    def test_swapped_clients_of_the_standard_library(self):
        executor = self.executor()
        futures = [executor.submit(nap, seconds) for seconds in (0.3, 0)]
        done, pending = concurrent.futures.wait(futures, return_when=FIRST_COMPLETED)
        self.assertEqual(len(done) + len(pending), 2)
        self.assertEqual({future.result() for future in concurrent.futures.as_completed(futures)}, {0.3, 0})
        done, pending = concurrent.futures.wait([executor.submit(fail), executor.submit(nap, 2)], return_when=FIRST_EXCEPTION)
        self.assertEqual(len(done), 1)
        done, pending = concurrent.futures.wait(pending, return_when=ALL_COMPLETED)
        self.assertEqual(len(pending), 0)

    # ---- map

    def test_map(self):
        executor = self.executor()
        self.assertEqual(list(executor.map(pow, range(10), range(10))), list(map(pow, range(10), range(10))))
        self.assertEqual(list(executor.map(pow, range(10), range(10), chunksize=3)), list(map(pow, range(10), range(10))))
        with self.assertRaises(ValueError):
            executor.map(pow, [1], [1], chunksize=-1)

    def test_map_with_an_exception(self):
        results = self.executor().map(divmod, [1, 1, 1, 1], [2, 3, 0, 5])
        self.assertEqual((next(results), next(results)), ((0, 1), (0, 1)))
        with self.assertRaises(ZeroDivisionError):
            next(results)

    def test_map_with_a_timeout(self):
        results = []
        with self.assertRaises(concurrent.futures.TimeoutError):
            for result in self.executor().map(nap, [0, 0, 6], timeout=4):
                results.append(result)
        self.assertEqual(results, [0, 0])

    # ---- cancel, shutdown

    def test_cancel(self):
        executor = self.executor(1)
        running = executor.submit(nap, 1)
        self.wait_until(running.running, "it runs")
        waiting = executor.submit(double, 1)
        self.assertFalse(running.cancel())
        self.assertTrue(waiting.cancel())
        with self.assertRaises(CancelledError):
            waiting.result()
        self.assertEqual(executor.submit(double, 2).result(), 4)

    def test_shutdown(self):
        executor = self.executor()
        futures = [executor.submit(nap, 0.2) for _ in range(6)]
        executor.shutdown()
        self.assertTrue(all(future.done() for future in futures))
        self.assertEqual([future.result() for future in futures], [0.2] * 6)
        with self.assertRaises(RuntimeError):
            executor.submit(double, 1)
        executor.shutdown()  # again
        self.assertEqual(self.client.run("1").value, 1)  # the client was ours

    def test_shutdown_without_waiting(self):
        executor = self.executor(1)
        futures = [executor.submit(nap, 0.3) for _ in range(3)]
        executor.shutdown(wait=False)
        self.assertFalse(futures[-1].done())
        self.assertEqual([future.result(20) for future in futures], [0.3] * 3)
        for thread in executor._threads:
            thread.join(20)

    def test_shutdown_that_cancels(self):
        executor = self.executor(1)
        futures = [executor.submit(nap, 0.5) for _ in range(10)]
        self.wait_until(futures[0].running, "the first runs")
        executor.shutdown(cancel_futures=True)
        self.assertEqual(futures[0].result(), 0.5)
        self.assertTrue(all(future.cancelled() for future in futures[1:]))

    def test_as_a_context(self):
        with cloister.Executor(self.client, 2) as executor:
            futures = [executor.submit(double, n) for n in range(5)]
        self.assertEqual([future.result(0) for future in futures], [0, 2, 4, 6, 8])

    def test_one_that_is_dropped_leaves_no_threads(self):
        executor = cloister.Executor(self.client, 2)
        executor.submit(double, 1).result()
        threads, gone = list(executor._threads), weakref.ref(executor)
        del executor
        gc.collect()
        self.assertIsNone(gone())
        for thread in threads:
            thread.join(20)
            self.assertFalse(thread.is_alive())

    def test_the_end_of_the_program_waits(self):
        script = self.server.directory / "script.py"
        script.write_text("import cloister\ndef f(n):\n    import time; time.sleep(0.5); return n\n"
                          "executor = cloister.Executor(max_workers=1)\n"
                          "for n in range(3): executor.submit(f, n).add_done_callback(lambda done: print(done.result(), flush=True))\n"
                          "print('end', flush=True)\n")
        done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "CLOISTER_SERVER": self.server.address})
        self.assertEqual((done.stdout, done.stderr), ("end\n0\n1\n2\n", ""))

    def test_workers(self):
        with self.assertRaises(ValueError):
            cloister.Executor(self.client, 0)
        executor = self.executor(2)
        for n in range(10):  # an idle worker takes it; no thread for each
            executor.submit(double, n).result()
        self.assertLessEqual(len(executor._threads), 2)
        begin = time.monotonic()
        list(self.executor(8).map(nap, [0.5] * 8))
        self.assertLess(time.monotonic() - begin, 4 * 0.5 + 4)

    def test_a_client_of_its_own(self):
        with mock.patch.dict(os.environ, {"CLOISTER_SERVER": self.server.address}):
            with cloister.Executor() as executor:
                self.assertEqual(executor.submit(math.factorial, 5).result(), 120)

    # ---- isolation, initializer

    def test_each_call_has_a_sandbox_of_its_own(self):
        self.assertEqual(list(self.executor().map(lambda_free_count, range(5))), [1] * 5)

    def test_an_initializer(self):
        executor = self.executor(2, initializer=set_up, initargs=(40,))
        self.assertEqual(list(executor.map(is_ready, [1, 2, 3, 4])), [41, 42, 43, 44])
        with self.assertRaises(TypeError):
            self.executor(initializer=3)

    def test_workers_that_are_initialised_keep_their_state(self):
        executor = self.executor(1, initializer=set_up, initargs=(0,))
        self.assertEqual([executor.submit(count).result() for _ in range(3)], [1, 2, 3])
        executor.shutdown()
        self.assertEqual(self.client.sandboxes(), [])

    def test_an_initializer_that_fails(self):
        executor = self.executor(2, initializer=fail, initargs=("not today",))
        futures = [executor.submit(double, n) for n in range(4)]
        for future in futures:
            with self.assertRaises(BrokenExecutor):
                future.result(30)
        with self.assertRaisesRegex(BrokenExecutor, "not today"):
            executor.submit(double, 1)
        executor.shutdown()
        self.assertEqual(self.client.sandboxes(), [])

    def test_a_call_that_kills_its_sandbox_fails_alone(self):
        executor = self.executor(1, initializer=set_up, initargs=(5,))
        self.assertIsInstance(executor.submit(die).exception(30), cloister.Died)
        self.assertEqual(executor.submit(is_ready).result(30), 5)

    def test_a_sandbox_that_ends_between_calls_is_replaced(self):
        executor = self.executor(1, initializer=set_up, initargs=(5,))
        self.assertEqual(executor.submit(is_ready).result(30), 5)
        (info,) = self.client.sandboxes()
        self.client.open_sandbox(info.name).delete()
        self.assertEqual(executor.submit(is_ready).result(30), 5)

    # ---- pickle, when asked for by that name

    def test_cloudpickle(self):
        try:
            import cloudpickle  # noqa: F401
        except ImportError:
            with self.assertRaisesRegex(cloister.NotPortable, "cloudpickle"):
                self.executor(unsafe_cloudpickle=True)
            return
        # Python here and in the image differ, so only what pickles by name can work.
        self.assertEqual(self.executor(unsafe_cloudpickle=True).submit(math.factorial, 5).result(), 120)


def lambda_free_count(_):
    import builtins

    builtins.counted = getattr(builtins, "counted", 0) + 1
    return builtins.counted


if __name__ == "__main__":
    unittest.main()
