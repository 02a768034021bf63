"""Messages, and functions of the client that hostile code may call."""

import gc
import threading
import time
import unittest

import cloister
from support import ServerTest

LONG = cloister.Limits(wall_time=60)


class MessagesTest(ServerTest):
    def setUp(self):
        super().setUp()
        self.live = self.sandbox()
        self.live.run("import cloister")

    def test_both_ways(self):
        with self.live.connect() as connection:
            echo = self.live.stream("for m in cloister.inbox:\n    if m is None: break\n    cloister.post(['echo', m])")
            for value in (1, {"a": (1, 2)}, "x" * 1_000_000):
                connection.post(value)
                self.assertEqual(connection.receive(20), ["echo", value])
            connection.post(None)
            self.assertTrue(echo.result().ok)

    def test_a_post_without_a_connection(self):
        for i in range(3):
            self.live.post({"n": i})
        self.assertEqual(self.live.run("[cloister.inbox.get(timeout=10)['n'] for _ in range(3)]").value, [0, 1, 2])

    def test_iteration_ends_when_it_is_closed(self):
        connection = self.live.connect()
        with self.assertRaises(cloister.CloisterError):
            connection.receive()
        with connection:
            self.live.run("for i in range(5): cloister.post(i)")
            got = []
            for message in connection:
                got.append(message)
                if len(got) == 5:
                    connection.cancel()
        self.assertEqual(got, list(range(5)))
        with self.assertRaises(cloister.Disconnected):
            connection.receive()
        with connection:  # again
            self.live.run("cloister.post('again')")
            self.assertEqual(connection.receive(10), "again")

    def test_the_end_of_the_sandbox(self):
        with self.live.connect() as connection:
            self.live.delete()
            self.assertEqual(list(connection), [])
        sandbox = self.sandbox()
        with sandbox.connect() as connection:
            sandbox.run("import os; os._exit(0)")
            with self.assertRaises(cloister.Lost):
                next(connection)

    def test_one_client_at_a_time(self):
        with self.live.connect():
            with self.assertRaises(cloister.AlreadyExists) as caught:
                self.live.connect().open()
            self.assertEqual(caught.exception.reason, "ALREADY_CONNECTED")

    def test_a_connection_that_is_dropped_is_closed(self):
        connection = self.live.connect()
        connection.open()
        del connection
        gc.collect()

        def free():
            try:
                with self.live.connect():
                    return True
            except cloister.AlreadyExists:
                return False

        self.wait_until(free, "another client can connect")

    def test_who_does_not_receive_makes_the_sender_wait(self):
        with self.live.connect() as connection:
            execution = self.live.stream("for i in range(64): cloister.post(b'x' * (1 << 20))", limits=LONG)
            next(execution)
            time.sleep(1)
            self.assertIs(self.live.info().state, cloister.State.BUSY)
            self.assertLess(connection._link.messages._weight, 8 << 20)
            self.assertEqual([len(connection.receive(20)) for _ in range(64)], [1 << 20] * 64)
            self.assertTrue(execution.result().ok)

    def test_a_full_inbox_makes_post_wait_and_holds_up_no_answers(self):
        connection = self.live.connect(double)
        with connection:
            with self.assertRaises(TimeoutError):
                for _ in range(100):
                    connection.post(b"x" * (1 << 20), timeout=1)
            self.assertEqual(self.live.run("cloister.host.double(4)").value, 8)
            waiting = threading.Thread(target=connection.post, args=(b"last",))
            waiting.start()
            self.assertEqual(self.live.run("m = None\nwhile m != b'last': m = cloister.inbox.get(timeout=20)\nm", limits=LONG).value, b"last")
            waiting.join(20)

    def test_what_was_posted_in_a_block_arrives(self):
        for i in range(20):
            with self.live.connect() as connection:
                connection.post(i)
        self.assertEqual(self.live.run("[cloister.inbox.get(timeout=5) for _ in range(20)]").value, list(range(20)))

    def test_a_message_that_cannot_be_made_here(self):
        with self.live.connect() as connection:
            self.live.run("import re\ncloister.post(re.compile('a' * 20000)); cloister.post(1)")
            with self.assertRaises(cloister.CloneError):
                connection.receive(10)
            self.assertEqual(connection.receive(10), 1)


def double(n):
    return n * 2


class HostFunctionsTest(ServerTest):
    def setUp(self):
        super().setUp()
        self.live = self.sandbox()
        self.live.run("import cloister")

    def test_calls(self):
        connection = self.live.connect()

        @connection.function
        def total(prices, currency="EUR"):
            return {"sum": sum(prices), "in": currency}

        connection.offer("fail", lambda: {}["key"])
        with connection:
            self.assertEqual(self.live.run("cloister.host.total([1, 2.5], currency='CHF')").value, {"sum": 3.5, "in": "CHF"})
            result = self.live.run("try: cloister.host.fail()\nexcept KeyError as e: r = (type(e).__name__, e.args)\nr")
            self.assertEqual(result.value, ("KeyError", ("key",)))
            self.assertFalse(self.live.run("cloister.host.other()").ok)
            with self.assertRaises(cloister.CloisterError):
                connection.function(total)

    def test_errors_of_all_kinds(self):
        class Odd(Exception):
            pass

        def own():
            raise Odd("text", object())

        def leave():
            raise SystemExit(3)

        def unsendable():
            return object()

        def unprintable():
            raise ValueError(object())

        with self.live.connect(own, leave, unsendable, unprintable):
            for name, expected in (("own", "Odd"), ("leave", "SystemExit"), ("unsendable", "cannot be cloned"), ("unprintable", "ValueError")):
                result = self.live.run(f"try: cloister.host.{name}()\nexcept BaseException as e: r = type(e).__name__ + ' ' + str(e)\nr")
                self.assertIn(expected, result.value)
                self.assertNotIn("Traceback", result.value)

    def test_beside_one_another(self):
        barrier = threading.Barrier(8, timeout=20)

        def meet(n):
            barrier.wait()
            return n

        with self.live.connect(meet):
            code = "calls = [cloister.host.meet.start(i) for i in range(8)]\n[c.result() for c in calls]"
            self.assertEqual(self.live.run(code).value, list(range(8)))

    def test_calls_that_are_given_up_do_not_pile_up(self):
        release = threading.Event()
        running = []

        def wait(n):
            running.append(n)
            release.wait(60)

        with self.live.connect(wait, maximum_calls=2, call_timeout=30):
            code = "for i in range(30):\n    call = cloister.host.wait.start(i)\n    call.cancel()\n"
            self.assertTrue(self.live.run(code, limits=LONG).ok)
            first = self.live.run("calls = [cloister.host.wait.start(i) for i in range(100, 102)]")
            self.assertTrue(first.ok)
            self.wait_until(lambda: len(running) >= 2, "two run")
            self.assertLessEqual(len(running), 2)
            self.assertLessEqual(sum(thread.name.startswith("cloister call") for thread in threading.enumerate()), 2)
            release.set()
            self.assertTrue(self.live.run("[c.result() for c in calls]").ok)

    def test_a_call_takes_too_long(self):
        release = threading.Event()
        self.addCleanup(release.set)

        def slow():
            release.wait(30)

        with self.live.connect(slow, call_timeout=0.2):
            self.assertIn("did not answer within 200ms", self.live.run("cloister.host.slow()").outcome.exception.message)

    def test_coroutine_functions_want_the_other_client(self):
        async def later():
            pass

        with self.live.connect(later):
            self.assertIn("AsyncClient", self.live.run("cloister.host.later()").outcome.exception.message)

    def test_names(self):
        connection = self.live.connect()
        with self.assertRaises(ValueError):
            connection.offer("no name", len)
        with self.assertRaises(ValueError):
            self.live.connect(lambda: 0)
        with self.assertRaises(ValueError):
            self.live.connect(maximum_calls=65)


if __name__ == "__main__":
    unittest.main()
