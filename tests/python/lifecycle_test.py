"""A server that stops, is killed or restarted under its clients, and processes that fork."""

import os
import signal
import threading
import time
import unittest

import cloister
from support import Server

LONG = cloister.Limits(wall_time=60)
SLEEPS = "import time\nprint('begun', flush=True)\ntime.sleep({})"


class LifecycleTest(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.close)
        self.client = cloister.Client(self.server.address, timeout=30)
        self.addCleanup(self.client.close)

    def begin(self, runner, seconds, **options):
        execution = runner.stream(SLEEPS.format(seconds), limits=LONG, **options)
        while not isinstance(next(execution), cloister.Output):
            pass
        return execution

    def test_a_server_that_drains(self):
        running = self.begin(self.client, 3)
        self.server.process.send_signal(signal.SIGTERM)
        once = cloister.Client(self.server.address, attempts=1)
        self.addCleanup(once.close)
        end = time.monotonic() + 20
        while True:
            self.assertLess(time.monotonic(), end)
            try:
                once.run("1")
            except cloister.Unavailable as refusal:
                error = refusal
                break
        self.assertEqual(error.reason, "SERVER_DRAINING")
        self.assertIsNotNone(error.retry_after)
        self.assertEqual(running.result().stdout, "begun\n")
        self.server.process.wait(30)
        self.server.process = None

    def test_a_server_that_is_killed_in_mid_call(self):
        sandbox = self.client.sandbox()
        execution = self.begin(sandbox, 60, detach=True)
        errors = []

        def run():
            try:
                self.client.run("import time; time.sleep(60)", limits=LONG)
            except cloister.CloisterError as error:
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        self.server.stop(signal.SIGKILL)
        with self.assertRaises(cloister.Unavailable):
            list(execution)
        thread.join(60)
        self.assertIsInstance(errors[0], cloister.Unavailable)
        self.assertIn(self.server.address, str(errors[0]))

    def test_a_server_that_is_restarted_in_mid_call(self):
        sandbox = self.client.sandbox()
        execution = self.begin(sandbox, 60, detach=True)
        live = []

        def run():
            try:
                sandbox.run("1")  # waits for the execution before it
            except cloister.CloisterError as error:
                live.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        fresh = []
        def run_fresh():
            try:
                fresh.append(self.client.run("import time; time.sleep(1); 7").value)
            except cloister.Unavailable:
                fresh.append("gone")

        other = threading.Thread(target=run_fresh)
        other.start()
        time.sleep(0.3)
        self.server.stop(signal.SIGKILL)
        self.server.start()
        with self.assertRaisesRegex(cloister.Disconnected, "restarted"):
            list(execution)
        thread.join(60)
        self.assertIsInstance(live[0], cloister.ServiceError)
        self.assertIn(live[0].reason, ("SANDBOX_NOT_FOUND", ""))
        other.join(60)
        # In a sandbox of its own it ran again, or the attempts were over before the server was back.
        self.assertIn(fresh, ([7], ["gone"]))
        self.assertEqual(self.client.run("1").value, 1)
        with self.assertRaises(cloister.NotFound):
            sandbox.run("1")

    def test_a_connection_ends_with_its_server(self):
        sandbox = self.client.sandbox()
        with sandbox.connect() as connection:
            self.server.stop(signal.SIGKILL)
            with self.assertRaises(cloister.Unavailable):
                next(connection)
            with self.assertRaises(cloister.Disconnected):
                connection.post(1)
        self.server.start()

    def test_a_block_whose_server_is_gone(self):
        with self.assertRaises(ZeroDivisionError):  # and not that it could not be deleted
            with self.client.sandbox():
                self.server.stop(signal.SIGKILL)
                1 / 0
        with self.assertRaises(cloister.Unavailable):
            with self.client.sandbox():
                pass


class ForkTest(unittest.TestCase):
    def test_a_forked_child_is_told_to_make_its_own(self):
        client = cloister.Client("unix:/none", attempts=1)
        with self.assertRaises(cloister.Unavailable):
            client.run("1")
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                client.run("1")
                text = "no error"
            except BaseException as error:
                text = str(error)
            os.write(writer, text.encode())
            os._exit(0)
        os.close(writer)
        os.waitpid(pid, 0)
        with os.fdopen(reader) as pipe:
            self.assertIn("make a Client of its own", pipe.read())
        client.close()


if __name__ == "__main__":
    unittest.main()
