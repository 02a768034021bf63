"""Live sandboxes: state, copies, interpreters, files."""

import io
import pathlib
import tempfile
import unittest

import cloister
from support import ServerTest


class LifeTest(ServerTest):
    def test_state_stays(self):
        with self.client.sandbox(environment={"K": "v"}, files={"f": "data"}) as sandbox:
            sandbox.run("x = 41")
            self.assertEqual(sandbox.run("import os; (x + 1, os.environ['K'], open('f').read())").value, (42, "v", "data"))
            self.assertEqual(sandbox.call("x.__add__", 1), 42)
            name = sandbox.name
            self.assertIn(name, [info.name for info in self.client.sandboxes()])
        with self.assertRaises(cloister.NotFound) as caught:
            self.client.open_sandbox(name)
        self.assertEqual(caught.exception.reason, "SANDBOX_NOT_FOUND")

    def test_info_and_update(self):
        sandbox = self.sandbox(ttl=600, idle_timeout=60, limits=cloister.Limits(memory_bytes=64 << 20))
        info = sandbox.info()
        self.assertEqual((info.state, info.idle_timeout, info.limits.memory_bytes), (cloister.State.READY, 60, 64 << 20))
        self.assertGreater(sandbox.update(ttl=1200).expire_time, info.expire_time)
        with self.assertRaises(cloister.InvalidRequest):
            sandbox.update()

    def test_expiry_is_told(self):
        sandbox = self.sandbox(ttl=0.2)
        def expired():
            try:
                sandbox.info()
            except cloister.NotFound as error:
                return (error.reason, error.metadata.get("cause")) == ("SANDBOX_EXPIRED", "ttl")
        self.wait_until(expired, "it has expired")

    def test_an_error_of_the_body_is_the_one_that_comes_out(self):
        with self.assertRaises(ZeroDivisionError):
            with self.client.sandbox() as sandbox:
                sandbox.delete()
                1 / 0

    def test_restart(self):
        sandbox = self.sandbox()
        sandbox.run("x = 1")
        self.assertEqual(sandbox.restart().restart_count, 1)
        self.assertEqual(sandbox.run("x").outcome.exception.type, "NameError")


class CopiesTest(ServerTest):
    def test_forks(self):
        sandbox = self.sandbox()
        sandbox.run("x = 1\nopen('f', 'w').write('parent')")
        with sandbox.fork() as fork:
            fork.run("x = 2\nopen('f', 'w').write('fork')")
            self.assertEqual((fork.run("x").value, sandbox.run("x").value), (2, 1))
            self.assertEqual((fork.files.get("f"), sandbox.files.get("f")), (b"fork", b"parent"))
        forks = sandbox.forks(3)
        self.assertEqual([fork.run("x").value for fork in forks], [1, 1, 1])
        for fork in forks:
            fork.delete()

    def test_what_cannot_be_copied(self):
        sandbox = self.sandbox()
        sandbox.run("import threading\ne = threading.Event(); threading.Thread(target=e.wait, daemon=True).start()")
        with self.assertRaises(cloister.Refused) as caught:
            sandbox.fork()
        self.assertEqual(caught.exception.reason, "FORK_REFUSED")

    def test_snapshots(self):
        sandbox = self.sandbox()
        sandbox.run("x = [1]")
        with sandbox.snapshot() as snapshot:
            sandbox.run("x.append(2)")
            with self.client.sandbox(snapshot=snapshot) as copy:
                self.assertEqual(copy.run("x").value, [1])
            self.assertEqual(snapshot.info().sandbox, sandbox.name)
            self.assertIn(snapshot.name, [info.name for info in self.client.snapshots()])
        with self.assertRaises(cloister.NotFound):
            self.client.sandbox(snapshot=snapshot)


class InterpretersTest(ServerTest):
    def test_variables_of_its_own(self):
        sandbox = self.sandbox()
        with sandbox.interpreter(imports=["json"]) as first, sandbox.interpreter("worker", profile=cloister.Profile.PROCESS) as second:
            first.run("x = 1"), second.run("x = 2")
            self.assertEqual((first.run("x").value, second.run("x").value), (1, 2))
            self.assertEqual((first.info().profile, second.info().profile), (cloister.Profile.ISOLATED, cloister.Profile.PROCESS))
            self.assertEqual(len(sandbox.interpreters()), 3)
            self.assertEqual(second.restart().restart_count, 1)
            with self.assertRaises(cloister.AlreadyExists):
                sandbox.interpreter("worker")
            with self.assertRaises(cloister.Refused) as caught:
                sandbox.interpreter(imports=["no_such_module"])
            self.assertEqual((caught.exception.reason, caught.exception.metadata["module"]), ("IMPORT_FAILED", "no_such_module"))
        self.assertEqual(len(sandbox.interpreters()), 1)

    def test_questions(self):
        sandbox = self.sandbox()
        sandbox.run("def total(prices, currency='EUR'):\n    'Adds up.'\n    return sum(prices)")
        self.assertIn("total", [each.text for each in sandbox.complete("tot")])
        self.assertEqual(sandbox.complete("to tal", 2)[0].end, 2)
        found = sandbox.inspect("total(", with_source=True)
        self.assertEqual((found.is_found, found.documentation, found.signature), (True, "Adds up.", "(prices, currency='EUR')"))
        self.assertIn("return sum", found.source)
        self.assertEqual([sandbox.check_complete(code).status for code in ("x = 1", "for x in y:", "x = )")], ["complete", "incomplete", "invalid"])


class FilesTest(ServerTest):
    def test_in_and_out(self):
        files = self.sandbox().files
        content = bytes(range(256)) * 8192  # 2 MiB
        info = files.put("a/b.bin", content, executable=True)
        self.assertEqual((info.path, info.size_bytes, info.kind, info.executable), ("a/b.bin", len(content), cloister.FileKind.FILE, True))
        self.assertEqual(files.get("a/b.bin"), content)
        self.assertEqual(files.get("a/b.bin", offset=10, length=5), content[10:15])
        self.assertEqual(b"".join(files.read("a/b.bin")), content)
        for source in ("text é", io.BytesIO(b"file"), (part for part in (b"x" * (1 << 20), b"", b"y")), bytearray(b"z"), ""):
            files.put("f", source)
        self.assertEqual(files.get("f"), b"")
        self.assertEqual([info.path for info in files.list(recursive=True)], ["a", "a/b.bin", "f"])
        self.assertEqual(files.stat("a").kind, cloister.FileKind.DIRECTORY)
        files.mkdir("d/e")
        files.remove("f")
        files.remove("f", missing_ok=True)
        files.remove("a", recursive=True)
        self.assertEqual([info.path for info in files.list()], ["d"])

    def test_many_pages(self):
        sandbox = self.sandbox()
        sandbox.run("for i in range(2500): open(f'{i:04}', 'w').close()")
        self.assertEqual([info.path for info in sandbox.files.list()], [f"{i:04}" for i in range(2500)])

    def test_what_is_too_much_for_this_process(self):
        sandbox = self.sandbox()
        sandbox.run("import os\nopen('big', 'wb').truncate(50 << 20)\nos.mkdir('d')\nfor i in range(30): open(f'd/{i}', 'w').close()")
        with self.assertRaisesRegex(cloister.ResourceExhausted, "big has more than"):
            sandbox.files.get("big", maximum_bytes=1 << 20)
        self.assertEqual(len(sandbox.files.get("big", length=100, maximum_bytes=100)), 100)
        with self.assertRaisesRegex(cloister.ResourceExhausted, "d holds more than"):
            sandbox.files.list("d", maximum_entries=29)

    def test_of_this_machine(self):
        files = self.sandbox().files
        with tempfile.TemporaryDirectory() as directory:
            local = pathlib.Path(directory, "local")
            local.write_bytes(b"x" * 3_000_000)
            files.upload(local, "remote")
            files.download("remote", pathlib.Path(directory, "again"))
            self.assertEqual(pathlib.Path(directory, "again").read_bytes(), b"x" * 3_000_000)
            with self.assertRaises(cloister.NotFound):
                files.download("none", pathlib.Path(directory, "nothing"))
            self.assertEqual(sorted(path.name for path in pathlib.Path(directory).iterdir()), ["again", "local"])

    def test_errors(self):
        sandbox = self.sandbox(limits=cloister.Limits(workspace_bytes=1 << 20))
        files = sandbox.files
        files.put("f", "x")
        cases = [(lambda: files.get("none"), cloister.NotFound, "FILE_NOT_FOUND"),
                 (lambda: files.put("f", "y", overwrite=False), cloister.AlreadyExists, "FILE_EXISTS"),
                 (lambda: files.put("../f", "y"), cloister.InvalidRequest, "FIELD_INVALID"),
                 (lambda: files.put("big", b"x" * (2 << 20)), cloister.ResourceExhausted, "WORKSPACE_FULL"),
                 (lambda: files.put("f/g", "y"), cloister.Refused, "PATH_REFUSED"),
                 (lambda: list(files.read("none")), cloister.NotFound, "FILE_NOT_FOUND"),
                 (lambda: files.remove("none"), cloister.NotFound, "FILE_NOT_FOUND")]
        for attempt, kind, reason in cases:
            with self.subTest(reason), self.assertRaises(kind) as caught:
                attempt()
            self.assertEqual(caught.exception.reason, reason)
        self.assertEqual([info.path for info in files.list()], ["f"])

    def test_a_source_that_fails_leaves_nothing(self):
        files = self.sandbox().files

        def broken():
            yield b"x" * 100_000
            raise RuntimeError("no more")

        with self.assertRaisesRegex(RuntimeError, "no more"):
            files.put("f", broken())
        self.assertEqual(files.list(), [])
        with self.assertRaises(TypeError):
            files.put("f", io.StringIO("text"))
        self.assertEqual(files.list(), [])

    def test_a_reader_that_is_left(self):
        files = self.sandbox().files
        files.put("f", b"x" * 1_000_000)
        for _ in range(40):  # more than may be under way at a time
            reader = files.read("f")
            next(reader)
            reader.close()
        self.assertEqual(len(files.get("f")), 1_000_000)


if __name__ == "__main__":
    unittest.main()
