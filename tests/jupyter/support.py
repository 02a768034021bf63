"""A real server and kernels of it, as front ends start them, for tests of the Jupyter kernel."""

import os
import pathlib
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import cloister
from jupyter_client.manager import KernelManager

CONFIG = """
templates { name: "python3.14" pool { minimum_ready: 4 } }
"""
TIMEOUT = 60


class Server:
    """cloisterd on a unix socket of its own."""

    def __init__(self, config=CONFIG):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-jupyter-"))
        self.directory.chmod(0o777)  # the server gives its privileges up before it binds
        self.config = self.directory / "config.textproto"
        self.config.write_text(config)
        self.address = f"unix:{self.directory}/socket"
        self.process = None
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self):
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                [os.environ["CLOISTERD"], "--config", self.config, "--listen", self.address],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        client = cloister.Client(self.address, attempts=1)
        end = time.monotonic() + 120
        while True:
            try:
                if client.info().ready:
                    break
            except cloister.Unavailable:
                pass
            if time.monotonic() >= end or self.process.poll() is not None:
                raise AssertionError(f"no server:\n{self.log()}")
            time.sleep(0.05)  # until it listens there is nothing to wait on
        client.close()

    def stop(self, number=signal.SIGTERM):
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(40)
            self.process = None

    def log(self):
        return (self.directory / "log").read_text(errors="replace")

    def close(self):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


def install_kernelspec(prefix, *options):
    """By the command that users type. Jupyter finds it from then on, in this process and its children."""
    subprocess.run([sys.executable, "-m", "cloister_kernel", "install", "--prefix", prefix, *options],
                   check=True, stdout=subprocess.DEVNULL)
    os.environ["JUPYTER_PATH"] = f"{prefix}/share/jupyter"


class Reply:
    """What came of a cell: the reply's content and the messages published for it."""

    def __init__(self, content, messages):
        self.content = content
        self.messages = messages
        self.status = content["status"]

    def of(self, kind):
        return [message["content"] for message in self.messages if message["msg_type"] == kind]

    def text(self, name="stdout"):
        return "".join(each["text"] for each in self.of("stream") if each["name"] == name)

    @property
    def value(self):
        (result,) = self.of("execute_result")
        return result["data"]["text/plain"]


class Kernel:
    """A kernel that a front end of ours has started, and its channels."""

    def __init__(self, name="cloister", **options):
        self.manager = KernelManager(kernel_name=name)
        self.manager.start_kernel(stderr=subprocess.DEVNULL, **options)
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=TIMEOUT)

    def send(self, code, **options):
        return self.client.execute(code, **options)

    def reply(self, number, answer=None, seen=None):
        """Waits for the end of the cell sent as `number`; `answer(prompt, password)` is asked where it asks."""
        messages = []
        while True:
            message = self._next(answer)
            if message["parent_header"].get("msg_id") != number:
                continue
            messages.append(message)
            if seen is not None:
                seen(message)
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
        while True:
            reply = self.client.get_shell_msg(timeout=TIMEOUT)
            if reply["parent_header"].get("msg_id") == number:
                return Reply(reply["content"], messages)

    def _next(self, answer):
        if answer is None:
            return self.client.get_iopub_msg(timeout=TIMEOUT)
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            try:
                return self.client.get_iopub_msg(timeout=0.05)
            except queue.Empty:
                pass
            try:
                asked = self.client.get_stdin_msg(timeout=0.05)["content"]
            except queue.Empty:
                continue
            text = answer(asked["prompt"], asked["password"])
            if text is not None:
                self.client.input(text)
        raise queue.Empty

    def run(self, code, answer=None, seen=None, **options):
        return self.reply(self.send(code, **options), answer, seen)

    def ask(self, number):
        """The content of the reply to another request than a cell."""
        while True:
            reply = self.client.get_shell_msg(timeout=TIMEOUT)
            if reply["parent_header"].get("msg_id") == number:
                return reply["content"]

    def close(self):
        self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel(now=not self.manager.is_alive())
        self.manager.cleanup_resources()


class KernelTest(unittest.TestCase):
    """One server for all tests of a class, and no sandbox in it when a test has ended."""

    config = CONFIG
    options = ()

    @classmethod
    def setUpClass(cls):
        cls.server = Server(cls.config)
        cls.addClassCleanup(cls.server.close)
        os.environ["CLOISTER_SERVER"] = cls.server.address
        install_kernelspec(str(cls.server.directory / "prefix"), *cls.options)

    def setUp(self):
        self.service = cloister.Client(self.server.address, timeout=30)
        self.addCleanup(self.service.close)

    def kernel(self, **options):
        kernel = Kernel(**options)
        self.addCleanup(kernel.close)
        return kernel

    def wait_until(self, condition, what):
        """For what the server tells only when asked."""
        end = time.monotonic() + 30
        while not condition():
            self.assertLess(time.monotonic(), end, f"not within 30 s: {what}")
            time.sleep(0.05)

    def sandboxes(self):
        return self.service.sandboxes()
