"""Errors, retries and deadlines without a server."""

import asyncio
import contextlib
import copy
import os
import pickle
import socket
import tempfile
import threading
import time
import unittest
from unittest import mock

import grpc

import cloister
from cloister import caller, channel, status
from cloister.google_rpc import error_details_pb2, status_pb2
from cloister.blocking_io import BlockingCredit, BlockingQueue
from cloister.io import drive
from cloister.v1 import message_service_pb2 as message_pb


def with_details(code, *details):
    message = status_pb2.Status(code=code, message="as it is")
    for detail in details:
        message.details.add().Pack(detail)
    return message


class FakeRpcError(grpc.RpcError):
    def __init__(self, code, message, trailing=()):
        self._code, self._message, self._trailing = code, message, trailing

    def code(self):
        return self._code

    def details(self):
        return self._message

    def trailing_metadata(self):
        return self._trailing


class StatusTest(unittest.TestCase):
    def test_all_that_the_server_said(self):
        details = with_details(
            14, error_details_pb2.ErrorInfo(reason="POOL_EXHAUSTED", domain="cloister", metadata={"a": "b"}),
            error_details_pb2.RetryInfo(retry_delay={"seconds": 1, "nanos": 500_000_000}))
        error = status.error_of(FakeRpcError(grpc.StatusCode.UNAVAILABLE, "as it is",
                                             [("grpc-status-details-bin", details.SerializeToString())]))
        self.assertIsInstance(error, cloister.Unavailable)
        self.assertEqual((error.reason, error.code, error.retry_after, error.metadata, error.message),
                         ("POOL_EXHAUSTED", "UNAVAILABLE", 1.5, {"a": "b"}, "as it is"))

    def test_fields_that_are_wrong(self):
        violation = error_details_pb2.BadRequest(field_violations=[{"field": "limits.wall_time", "description": "is 0"}])
        error = status.error_of_status(with_details(3, error_details_pb2.ErrorInfo(reason="FIELD_INVALID"), violation))
        self.assertIsInstance(error, cloister.InvalidRequest)
        self.assertIsInstance(error, ValueError)
        self.assertEqual(error.fields, (cloister.FieldProblem("limits.wall_time", "is 0"),))
        self.assertIn("limits.wall_time: is 0", str(error))

    def test_details_that_are_none(self):
        for junk in (b"\xff\xff\xff", b""):
            error = status.error_of(FakeRpcError(grpc.StatusCode.NOT_FOUND, "gone", [("grpc-status-details-bin", junk)]))
            self.assertIsInstance(error, cloister.NotFound)
        self.assertIsInstance(status.error_of_status(status_pb2.Status(code=77)), cloister.ServiceError)

    def test_loss_is_told_apart(self):
        error = status.error_of_status(with_details(9, error_details_pb2.ErrorInfo(reason="SANDBOX_LOST")))
        self.assertIsInstance(error, cloister.Lost)

    def test_errors_can_be_copied_and_pickled(self):
        error = cloister.Unavailable("x", reason="OVERLOADED", code="UNAVAILABLE", retry_after=2.0)
        for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
            self.assertEqual((type(again), str(again), again.retry_after), (type(error), str(error), 2.0))


class FakeIo:
    """Answers each call with the next of `answers`."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.timeouts = []
        self.slept = []

    async def unary(self, method, request, timeout):
        self.timeouts.append(timeout)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sleep(self, seconds):
        self.slept.append(seconds)


def call(io, attempts=5, **options):
    return drive(caller.Caller(io, 60.0, attempts, {}).unary(None, None, **options))


def refusal(reason, retry_after=None, kind=cloister.Unavailable):
    return kind("no", reason=reason, code="UNAVAILABLE", retry_after=retry_after)


class RetryTest(unittest.TestCase):
    def test_what_was_not_begun_is_repeated(self):
        io = FakeIo(refusal("OVERLOADED", 0.7), refusal("POOL_EXHAUSTED"), "done")
        self.assertEqual(call(io), "done")
        self.assertGreaterEqual(io.slept[0], 0.7)

    def test_a_cut_is_repeated_only_where_that_is_safe(self):
        cut = refusal("")
        self.assertEqual(call(FakeIo(cut, "done"), repeatable=True), "done")
        with self.assertRaises(cloister.Unavailable):
            call(FakeIo(cut, "done"))

    def test_other_errors_are_not_repeated(self):
        for error in (refusal("FIELD_INVALID", kind=cloister.InvalidRequest), refusal("SANDBOX_LOST", kind=cloister.Lost),
                      refusal("CREDENTIALS_INVALID", kind=cloister.Unauthenticated), cloister.DeadlineExceeded("late")):
            io = FakeIo(error, "done")
            with self.assertRaises(type(error)):
                call(io, repeatable=True)
            self.assertEqual(len(io.timeouts), 1)

    def test_attempts_are_bounded(self):
        io = FakeIo(*[refusal("OVERLOADED")] * 10)
        with self.assertRaises(cloister.Unavailable):
            call(io, attempts=3)
        self.assertEqual(len(io.timeouts), 3)

    def test_no_attempt_beyond_the_deadline(self):
        io = FakeIo(refusal("OVERLOADED", 100.0), "done")
        with self.assertRaises(cloister.Unavailable):
            call(io, timeout=1.0)
        self.assertEqual((len(io.timeouts), io.slept), (1, []))

    def test_all_attempts_share_one_deadline(self):
        io = FakeIo(refusal("OVERLOADED"), "done")
        call(io, timeout=10.0)
        self.assertTrue(all(0 < timeout <= 10.0 for timeout in io.timeouts))


class NoServerTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.address = f"unix:{self.directory.name}/none"

    def test_the_error_names_the_address(self):
        with cloister.Client(self.address, attempts=2) as client:
            begin = time.monotonic()
            with self.assertRaises(cloister.Unavailable) as caught:
                client.run("1")
            self.assertIn(self.address, str(caught.exception))
            self.assertIn("cloisterd", str(caught.exception))
            self.assertIsInstance(caught.exception, ConnectionError)
            self.assertLess(time.monotonic() - begin, 10)
            for attempt in (lambda: next(client.stream("1")), lambda: list(client.map("1", [{}])), lambda: client.sandbox()):
                with self.assertRaises(cloister.Unavailable):
                    attempt()

    def test_async(self):
        async def main():
            async with cloister.AsyncClient(self.address, attempts=2) as client:
                with self.assertRaises(cloister.Unavailable):
                    await client.run("1")
                with self.assertRaises(cloister.Unavailable):
                    async for _ in client.stream("1"):
                        pass

        asyncio.run(main())

    def test_a_server_that_never_answers(self):
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(f"{self.directory.name}/none")
        listener.listen()
        with cloister.Client(self.address, timeout=0.5) as client:
            with self.assertRaises((cloister.DeadlineExceeded, cloister.Unavailable)):
                client.info()

    def test_a_server_of_something_else(self):
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(f"{self.directory.name}/none")
        listener.listen()

        def answer():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(1)
                        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        with cloister.Client(self.address, timeout=5, attempts=1) as client:
            with self.assertRaises(cloister.ServiceError):
                client.info()
        listener.shutdown(socket.SHUT_RDWR)

    def test_a_forked_process_is_told(self):
        client = cloister.Client(self.address, attempts=1)
        self.addCleanup(client.close)
        for use in (lambda: client.run("1"), lambda: next(client.stream("1"))):
            with mock.patch("os.getpid", return_value=os.getpid() + 1):
                with self.assertRaisesRegex(cloister.CloisterError, "before a fork"):
                    use()


class AddressTest(unittest.TestCase):
    def test_the_environment_names_the_server(self):
        with mock.patch.dict(os.environ, {"CLOISTER_SERVER": "unix:/x"}):
            self.assertEqual(channel.address_or_default(None), "unix:/x")
            self.assertEqual(channel.address_or_default("unix:/y"), "unix:/y")
        with mock.patch.dict(os.environ):
            os.environ.pop("CLOISTER_SERVER", None)
            self.assertEqual(channel.address_or_default(None), channel.DEFAULT_ADDRESS)

    def test_tokens(self):
        header = lambda token: (("authorization", f"Bearer {token}"),)
        environment = {"CLOISTER_TOKEN": "t1"}
        with mock.patch.dict(os.environ, environment):
            self.assertEqual(channel.metadata_with_token((), None, "unix:/x", False), header("t1"))
            self.assertEqual(channel.metadata_with_token((), "t2", "localhost:1", False), header("t2"))
            self.assertIsNone(channel.metadata_with_token((), "", "unix:/x", False))
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("t3 \nrest\n")
            file.flush()
            with mock.patch.dict(os.environ, {"CLOISTER_TOKEN_FILE": file.name}):
                self.assertEqual(channel.metadata_with_token((), None, "[::1]:80", False), header("t3"))
        with self.assertRaisesRegex(ValueError, "unencrypted"):
            channel.metadata_with_token((), "t", "example.org:443", False)
        for host in ("127.evil.com:1", "127.0.0.1.evil.com:443"):
            with self.assertRaisesRegex(ValueError, "unencrypted"):
                channel.metadata_with_token((), "t", host, False)
        with self.assertRaises(ValueError) as caught:
            channel.metadata_with_token((), "SECRET\n", "unix:/x", False)
        self.assertNotIn("SECRET", str(caught.exception))
        self.assertEqual(channel.metadata_with_token((), "t", "example.org:443", True), header("t"))


class FakeDuplex:
    """A Connect stream whose server is the test."""

    def __init__(self):
        self.incoming = BlockingQueue()
        self.sent = []

    async def read(self):
        return await self.incoming.get(20)

    async def write(self, message):
        self.sent.append(message)

    def cancel(self):
        self.incoming.put(None)


class FakeConnectIo:
    def __init__(self):
        self.stream = FakeDuplex()

    def duplex(self, method, timeout):
        return self.stream

    def queue(self):
        return BlockingQueue()

    def credit(self):
        return BlockingCredit()

    def spawn(self, name, coroutine):
        threading.Thread(target=drive, args=(coroutine,), daemon=True).start()


class CreditTest(unittest.TestCase):
    def connect(self, credit):
        io = FakeConnectIo()
        connection = cloister.Connection(caller.Caller(io, 60.0, 5, {}), "sandboxes/x")
        io.stream.incoming.put(message_pb.ConnectResponse(opened={"post_credit_bytes": credit}))
        connection.open()
        self.addCleanup(connection.cancel)
        return connection, io.stream

    def test_posts_wait_for_credit_and_go_on_with_it(self):
        connection, stream = self.connect(1000)
        connection.post(b"x" * 5000, timeout=1)  # of any size, while there is some
        with self.assertRaises(TimeoutError):
            connection.post(b"y", timeout=0.05)
        size = stream.sent[-1].post.ByteSize() + 128
        stream.incoming.put(message_pb.ConnectResponse(post_credit={"bytes": size - 1000}))
        with self.assertRaises(TimeoutError):  # none is left, and none is owed
            connection.post(b"y", timeout=0.05)
        waiting = threading.Thread(target=connection.post, args=(b"y",))
        waiting.start()
        stream.incoming.put(message_pb.ConnectResponse(post_credit={"bytes": 1}))
        waiting.join(20)
        self.assertEqual([message.WhichOneof("request") for message in stream.sent], ["open", "post", "post"])

    def test_a_server_that_gives_none_sets_no_bound(self):
        connection, stream = self.connect(0)
        for _ in range(10):
            connection.post(b"x" * 100_000, timeout=1)
        self.assertEqual(len(stream.sent), 11)

    def test_who_waits_for_credit_learns_of_the_end(self):
        connection, stream = self.connect(1)
        connection.post(1)
        ended = []

        def post():
            try:
                connection.post(2)
            except cloister.Disconnected:
                ended.append(True)

        waiting = threading.Thread(target=post)
        waiting.start()
        stream.incoming.put(None)
        waiting.join(20)
        self.assertEqual(ended, [True])


class BlockingTest(unittest.TestCase):
    def test_what_would_suspend_is_a_bug_of_ours_and_said_so(self):
        with self.assertRaisesRegex(RuntimeError, "bug in cloister"):
            drive(asyncio.sleep(0))

    def test_both_clients_have_the_same_methods(self):
        for blocking, awaited in ((cloister.Client, cloister.AsyncClient), (cloister.Sandbox, cloister.AsyncSandbox),
                                  (cloister.Interpreter, cloister.AsyncInterpreter), (cloister.Snapshot, cloister.AsyncSnapshot),
                                  (cloister.Execution, cloister.AsyncExecution), (cloister.Connection, cloister.AsyncConnection)):
            names = [{name for name in dir(kind) if not name.startswith("_")} for kind in (blocking, awaited)]
            self.assertEqual(names[0], names[1], blocking.__name__)
            for name in names[0]:
                self.assertTrue(getattr(blocking, name).__doc__, f"{blocking.__name__}.{name} has no docstring")


if __name__ == "__main__":
    unittest.main()
