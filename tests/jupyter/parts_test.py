"""The kernel's parts that need no server."""

import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import unittest

from cloister import MimeBundle
from cloister_kernel import magics, settings
from cloister_kernel.history import History
from cloister_kernel.iopub import IoPub
from cloister_kernel.rich import clean, jupyter_bundle
from cloister_kernel.wire import Wire, WireError


class WireTest(unittest.TestCase):
    def test_there_and_back(self):
        wire = Wire("key")
        frames = wire.pack("status", {"text": "é\ud800"}, {"msg_id": "1"}, (b"who",))
        message = wire.unpack(frames)
        self.assertEqual((message.kind, message.identities, message.content, message.parent),
                         ("status", (b"who",), {"text": "é\ud800"}, {"msg_id": "1"}))

    def test_what_is_no_message(self):
        wire = Wire("key")
        frames = wire.pack("status", {}, {})
        for wrong in ([], [b"x"], frames[:-1], [*frames[:-1], b'{"changed": 1}'], Wire("other").pack("status", {}, {}),
                      Wire("").pack("status", {}, {})):
            with self.assertRaises(WireError):
                wire.unpack(wrong)
        unsigned = Wire("")
        for content in (b"[1]", b"\xff", b"{", b"[" * 100_000):
            with self.assertRaises(WireError):
                unsigned.unpack([b"<IDS|MSG>", b"", b"{}", b"{}", b"{}", content])
        with self.assertRaises(WireError):
            Wire("key", "hmac-nope")


class Socket:
    """What IoPub sends, unpacked."""

    def __init__(self):
        self.sent = []
        self.changed = threading.Condition()

    def send_multipart(self, frames):
        with self.changed:
            self.sent.append(json.loads(frames[-1]) | {"kind": frames[0].decode()})
            self.changed.notify_all()

    def close(self, linger):
        pass


class IoPubTest(unittest.TestCase):
    def setUp(self):
        self.socket = Socket()
        self.iopub = IoPub(self.socket, Wire(""))
        self.parent = {"msg_id": "1"}

    def sent(self):
        self.iopub.close()
        return self.socket.sent

    def test_pieces_that_come_together_go_together(self):
        for number in range(1000):
            self.iopub.stream("stdout", f"{number}\n", self.parent)
        sent = self.sent()
        self.assertEqual("".join(each["text"] for each in sent), "".join(f"{number}\n" for number in range(1000)))
        self.assertLess(len(sent), 100)

    def test_the_first_goes_at_once_and_none_is_left_waiting(self):
        self.iopub.stream("stdout", "a", self.parent)
        self.assertEqual([each["text"] for each in self.socket.sent], ["a"])
        self.iopub.stream("stdout", "b", self.parent)
        with self.socket.changed:
            self.assertTrue(self.socket.changed.wait_for(lambda: len(self.socket.sent) == 2, 30))
        self.iopub.close()

    def test_order(self):
        self.iopub.stream("stdout", "a", self.parent)
        self.iopub.stream("stdout", "b", self.parent)
        self.iopub.stream("stderr", "c", self.parent)
        self.iopub.publish("status", {}, self.parent)
        self.iopub.stream("stderr", "d", {"msg_id": "2"})
        self.assertEqual([each.get("text", each["kind"]) for each in self.sent()], ["a", "b", "c", "status", "d"])

    def test_the_traceback_of_the_end_is_not_written_as_well(self):
        traceback = "Traceback (most recent call last):\n  File \"<cell 1>\"\nValueError\n"
        self.iopub.stream("stderr", "own\n" + traceback, self.parent)
        self.iopub.drop_traceback(traceback)
        self.iopub.publish("error", {}, self.parent)
        self.assertEqual([each.get("text", each["kind"]) for each in self.sent()], ["own\n", "error"])

    def test_a_traceback_that_was_cut_and_what_comes_behind_one(self):
        whole = "Traceback (most recent call last):\n" + "".join(f"  line {number}\n" for number in range(5000))
        self.iopub.stream("stderr", "own\n" + whole, self.parent)
        self.iopub.drop_traceback(whole[:8000] + " ... " + whole[-8000:])
        self.iopub.stream("stderr", "Traceback (most recent call last):\nE\nbehind\n", self.parent)
        self.iopub.drop_traceback("Traceback (most recent call last):\nE\n")
        self.assertEqual("".join(each["text"] for each in self.sent()), "own\nbehind\n")

    def test_a_traceback_that_a_program_writes(self):
        self.iopub.stream("stderr", "Traceback (most recent call last):\nKeyError\n", self.parent)
        self.iopub.drop_traceback("Traceback (most recent call last):\nValueError\n")
        self.assertEqual(len(self.sent()), 1)


class RichTest(unittest.TestCase):
    def bundle(self, active=False, metadata="", **forms):
        names = {"plain": "text/plain", "html": "text/html", "png": "image/png", "svg": "image/svg+xml",
                 "json": "application/json", "js": "application/javascript", "markdown": "text/markdown"}
        return jupyter_bundle(MimeBundle({names[key]: value for key, value in forms.items()}, metadata), active)

    def test_forms(self):
        data, _, notes = self.bundle(plain=b"\xff", png=b"\0", json=b'{"a": [1]}')
        self.assertEqual(data, {"text/plain": "\ufffd", "image/png": "AA==", "application/json": {"a": [1]}})
        self.assertEqual(notes, [])

    def test_what_is_not_what_it_says(self):
        for wrong in (b"NaN", b"{", b"[" * 100_000, b"\xff"):
            data, _, notes = self.bundle(plain=b"x", json=wrong)
            self.assertEqual((data, notes), ({"text/plain": "x"}, ["application/json (is not what it says)"]))
        for wrong in ("[1]", "{", "NaN", "[" * 100_000, '{"image/png": 1}', '{"isolated": true}'):
            self.assertEqual(self.bundle(plain=b"x", metadata=wrong)[1], {})
        self.assertEqual(self.bundle(png=b"", metadata='{"image/png": {"width": 9}}')[1], {"image/png": {"width": 9}})

    def test_what_is_active(self):
        data, _, notes = self.bundle(js=b"attack()", markdown=b"![](http://x)", svg=b"<svg onload='a()'/>")
        self.assertEqual(notes, ["application/javascript (may be active)", "text/markdown (may be active)"])
        self.assertRegex(data["text/html"], '^<img src="data:image/svg\\+xml;base64,[^"<>]*">$')
        data, _, notes = self.bundle(active=True, js=b"run()", html=b"<script>x</script>")
        self.assertEqual((data["application/javascript"], data["text/html"], notes), ("run()", "<script>x</script>", []))

    def test_html(self):
        table = '<table border="1"><tr><th>a</th><td style="color: red;">1</td></tr></table>'
        self.assertIn('<td style="color: red;">1</td>', clean(table))
        for attack in ("<script>a()</script>", "<img src=x onerror=a()>", '<img src="http://else.where/?leak">',
                       "<iframe srcdoc='<script>a()</script>'></iframe>", '<a href="javascript:a()">x</a>',
                       "<form action=/x><input></form>", "<svg onload=a()>", "<style>@import 'http://else.where'</style>",
                       '<div style="background: url(http://else.where)">', "<meta http-equiv=refresh content='0;http://else.where'>",
                       "<link rel=stylesheet href=http://else.where>", "<base href=http://else.where>", "<scr<script></script>ipt>a()</script>",
                       "<math><mtext><table><mglyph><style><img src=x onerror=a()>", "<button data-x=1 id=menu class=navbar>"):
            cleaned = clean(attack)
            for word in ("<script", "onerror=", "onload=", "else.where", "javascript:", "<iframe", "<form", "<style", "id=", "class="):
                self.assertNotIn(word, cleaned.replace("&lt;", "("), attack)


class MagicsTest(unittest.TestCase):
    def test_split(self):
        self.assertEqual(magics.split("x = 5 %\\\n2"), ([], "x = 5 %\\\n2"))
        self.assertEqual(magics.split("%fork 10m"), ([("fork", "10m")], ""))
        self.assertEqual(magics.split("\n%limits wall=1s\n\n%rewind\n\nx = 1\n%y"),
                         ([("limits", "wall=1s"), ("rewind", "")], "\n\n\n\n\nx = 1\n%y"))
        for wrong in ("%nope", "%%time\n1", "% fork", "!ls", "%fork\n%nope"):
            with self.assertRaises(magics.MagicError):
                magics.split(wrong)

    def test_questions(self):
        self.assertEqual(magics.question("zip?"), ("zip", False))
        self.assertEqual(magics.question("??a.b"), ("a.b", True))
        self.assertEqual([magics.question(code) for code in ("x", "?", "a b?", "x?\n1", "f()?")], [None] * 5)


class HistoryTest(unittest.TestCase):
    def test_bounds(self):
        history = History()
        for number in range(1, 2001):
            history.add(number, str(number), None)
        everything = history.answer({"hist_access_type": "tail", "n": 5000})
        self.assertEqual((len(everything), everything[0][1]), (1000, 1001))
        history.add(2001, "x" * (5 << 20), None)
        self.assertEqual([each[1] for each in history.answer({"hist_access_type": "tail"})], [2001])

    def test_ranges_and_searches(self):
        history = History()
        for number, code in enumerate(["a = 1", "b", "a = 1", "[x]"], 1):
            history.add(number, code, None)
        self.assertEqual([each[1] for each in history.answer({"hist_access_type": "range", "start": 2, "stop": 4})], [2, 3])
        self.assertEqual(history.answer({"hist_access_type": "range", "session": 7}), [])
        self.assertEqual([each[1] for each in history.answer({"hist_access_type": "search", "pattern": "a*"})], [1, 3])
        self.assertEqual([each[1] for each in history.answer({"hist_access_type": "search", "pattern": "a*", "unique": True})], [3])
        self.assertEqual(history.answer({"hist_access_type": "tail", "n": 0}), [])


class SettingsTest(unittest.TestCase):
    def test_arguments_come_before_the_environment(self):
        environment = {"CLOISTER_KERNEL_TEMPLATE": "a", "CLOISTER_KERNEL_LIMITS": "memory=1G wall=2m", "CLOISTER_KERNEL_GRACE": "5"}
        file, read = settings.read_settings(["-f", "file", "--template=b", "--active-content", "yes"], environment)
        self.assertEqual((file, read.template, read.grace, read.active_content), ("file", "b", 5.0, True))
        self.assertEqual(dict(read.limits), {"memory_bytes": 1 << 30, "wall_time": 120.0})

    def test_wrong_ones_are_named(self):
        for option, value in (("--limits", "memory"), ("--limits", "memory=1X"), ("--limits", "memory=0"), ("--lease", "1s"),
                              ("--grace", "61"), ("--snapshots", "65"), ("--idle-timeout", "soon"), ("--active-content", "maybe")):
            with self.assertRaises(settings.SettingsError) as caught:
                settings.read_settings(["-f", "x", option, value], {})
            self.assertIn(option, str(caught.exception))
        for arguments in ([], ["-f"], ["--nope"], ["--server=x"]):
            with self.assertRaises(settings.SettingsError):
                settings.read_settings(arguments, {})
        self.assertFalse(math.isnan(settings.parse_time("1.5h")))


class ReadmeTest(unittest.TestCase):
    def test_it_lists_what_there_is(self):
        text = pathlib.Path(os.environ["CLOISTER_SOURCE"], "clients/jupyter/README.md").read_text()
        self.assertEqual(set(re.findall(r"^\| `%(\w+)", text, re.M)) | {"matplotlib"}, set(magics.MAGICS))
        self.assertEqual(set(re.findall(r"^\| `(--[\w-]+)`", text, re.M)), {*settings.OPTIONS, "--token-file"})


class InstallTest(unittest.TestCase):
    def install(self, *arguments, **environment):
        return subprocess.run([sys.executable, "-m", "cloister_kernel", "install", *arguments], capture_output=True, text=True,
                              env={**os.environ, **environment})

    def test_the_kernelspec(self):
        with tempfile.TemporaryDirectory() as home:
            done = self.install("--user", "--name=mine", "--limits=memory=1G", "--token-file=/secret", HOME=home)
            self.assertEqual((done.returncode, done.stderr.count("Traceback")), (0, 0), done.stderr)
            spec = json.loads(pathlib.Path(home, ".local/share/jupyter/kernels/mine/kernel.json").read_text())
        self.assertEqual(spec["interrupt_mode"], "message")
        self.assertIn("--limits=memory=1G", spec["argv"])
        self.assertEqual(spec["env"], {"CLOISTER_TOKEN_FILE": "/secret"})

    def test_wrong_options(self):
        done = self.install("--user", "--grace=9h")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--grace", done.stderr)
        done = self.install("--prefix=/proc/nowhere")
        self.assertEqual(done.returncode, 1)
        self.assertNotIn("Traceback", done.stderr)


if __name__ == "__main__":
    unittest.main()
