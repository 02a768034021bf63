"""A real server for tests of the Python client."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import cloister

CONFIG = """
templates { name: "python3.14" pool { minimum_ready: 4 } }
"""


class Server:
    """cloisterd on a unix socket of its own."""

    def __init__(self, config=CONFIG, token=""):
        self.token = token
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-python-"))
        self.directory.chmod(0o777)  # the server gives its privileges up before it binds
        self.config = self.directory / "config.textproto"
        self.config.write_text(config)
        self.address = f"unix:{self.directory}/socket"
        self.process = None
        self.start()

    def start(self):
        log = open(self.directory / "log", "ab")
        self.process = subprocess.Popen(
            [os.environ["CLOISTERD"], "--config", self.config, "--listen", self.address],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        client = cloister.Client(self.address, attempts=1, token=self.token)
        end = time.monotonic() + 60
        while True:
            try:
                if client.info().ready:
                    break
            except cloister.Unavailable:
                pass
            assert time.monotonic() < end and self.process.poll() is None, f"no server:\n{self.log()}"
            time.sleep(0.05)  # until it listens there is nothing to wait on
        client.close()

    def stop(self, number=signal.SIGTERM):
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(30)
            self.process = None

    def log(self):
        return (self.directory / "log").read_text(errors="replace")

    def close(self):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


class ServerTest(unittest.TestCase):
    """One server for all tests of a class."""

    config = CONFIG

    @classmethod
    def setUpClass(cls):
        cls.server = Server(cls.config)
        cls.addClassCleanup(cls.server.close)

    def setUp(self):
        self.client = cloister.Client(self.server.address, timeout=30)
        self.addCleanup(self.client.close)

    def sandbox(self, **options):
        sandbox = self.client.sandbox(**options)
        self.addCleanup(sandbox.delete, missing_ok=True)
        return sandbox

    def wait_until(self, condition, what):
        """For what the server tells only when asked."""
        end = time.monotonic() + 20
        while not condition():
            self.assertLess(time.monotonic(), end, f"not within 20 s: {what}")
            time.sleep(0.02)

    def wait_until_idle(self, sandbox):
        self.wait_until(lambda: sandbox.info().state is cloister.State.READY, "the sandbox is idle")


class Proxy:
    """A unix socket before the server whose connections can be cut at any time."""

    def __init__(self, server):
        self.target = str(server.directory / "socket")
        self.path = str(server.directory / f"proxy-{id(self)}")
        self.address = f"unix:{self.path}"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self._pairs = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self.target)
            except OSError:
                client.close()
                continue
            with self._lock:
                self._pairs.append((client, server))
            threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _serve(self, client, server):
        with client, server:
            back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
            back.start()
            self._pump(client, server)
            back.join()

    @staticmethod
    def _pump(source, target):
        try:
            while data := source.recv(1 << 16):
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        """Breaks all connections; new ones are let through."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        self._listener.close()
        self.cut()
