"""Kernels and servers that end under one another, and two notebooks at once."""

import json
import os
import signal
import subprocess
import sys
import unittest

from support import KernelTest

PARENT = """
import sys
sys.path.insert(0, {directory!r})
from support import Kernel
kernel = Kernel()
kernel.send("import time; time.sleep(200)")
print(kernel.manager.provisioner.pid, flush=True)
sys.stdin.read()
"""


class LifecycleTest(KernelTest):
    def wait_for_nothing(self):
        self.wait_until(lambda: not self.sandboxes() and not self.service.snapshots(), "nothing is left in the server")

    def test_shutdown_and_restart(self):
        notebook = self.kernel()
        notebook.run("x = 1")
        (before,) = self.sandboxes()
        notebook.manager.restart_kernel()
        notebook.client.wait_for_ready(timeout=60)
        self.assertEqual(notebook.run("'x' in globals()").value, "False")
        self.wait_until(lambda: [each.name for each in self.sandboxes()] != [before.name] and len(self.sandboxes()) == 1,
                        "the sandbox before the restart is gone")
        notebook.manager.shutdown_kernel()
        self.assertEqual(self.sandboxes(), [])

    def test_shutdown_in_mid_cell(self):
        notebook = self.kernel()
        notebook.send("while True: pass")
        self.wait_until(lambda: any(each.current_execution for each in self.sandboxes()), "the cell runs")
        notebook.manager.shutdown_kernel()
        self.assertFalse(notebook.manager.is_alive())
        self.wait_for_nothing()

    def test_a_kernel_killed_by_its_front_end(self):
        notebook = self.kernel()
        notebook.run("x = 1")
        notebook.send("while True: pass")
        self.wait_until(lambda: any(each.current_execution for each in self.sandboxes()), "the cell runs")
        notebook.manager.signal_kernel(signal.SIGKILL)  # the whole process group, as Jupyter does
        self.wait_for_nothing()

    def test_a_front_end_that_dies(self):
        code = PARENT.format(directory=os.path.dirname(os.path.abspath(__file__)))
        parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        pid = int(parent.stdout.readline())
        self.wait_until(lambda: any(each.current_execution for each in self.sandboxes()), "the cell runs")
        parent.kill()
        parent.wait()
        parent.stdin.close()
        parent.stdout.close()
        self.wait_for_nothing()
        self.wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "the kernel has ended")

    def test_two_notebooks_at_once(self):
        first, second = self.kernel(), self.kernel()
        numbers = [each.send(f"x = {value}\nimport time; time.sleep(1)") for each, value in ((first, 1), (second, 2))]
        for each, number in zip((first, second), numbers):
            each.reply(number)
        self.assertEqual((first.run("x").value, second.run("x").value), ("1", "2"))
        self.assertEqual(len(self.sandboxes()), 2)
        first.manager.shutdown_kernel()
        self.assertEqual(second.run("x").value, "2")
        self.assertEqual(len(self.sandboxes()), 1)

    def test_no_server(self):
        nowhere = {**os.environ, "CLOISTER_SERVER": "unix:/nowhere/socket"}
        notebook = self.kernel(env=nowhere)
        info = notebook.ask(notebook.client.kernel_info())
        self.assertIn("no server answers at unix:/nowhere/socket", info["banner"])
        error = notebook.run("1").of("error")[0]
        self.assertEqual(error["ename"], "Unavailable")
        self.assertIn("/nowhere/socket", error["evalue"])

    def test_settings_that_the_server_refuses(self):
        for name, value, word in (("TEMPLATE", "nope", "nope"), ("LIMITS", "memory=900G", "memory_bytes"),
                                  ("IDLE_TIMEOUT", "900h", "idle_timeout"), ("SANDBOX", "sandboxes/nope", "nope")):
            notebook = self.kernel(env={**os.environ, f"CLOISTER_KERNEL_{name}": value})
            self.assertIn(word, notebook.run("1").of("error")[0]["evalue"])
        self.assertEqual(notebook.run("1").value, "1")  # without the sandbox that was not there

    def test_another_front_end(self):
        path = self.server.directory / "cells.ipynb"
        cell = {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": [], "source": "print(6 * 7)"}
        path.write_text(json.dumps({
            "cells": [cell], "nbformat": 4, "nbformat_minor": 4,
            "metadata": {"kernelspec": {"name": "cloister", "display_name": "Python (Cloister)", "language": "python"}}}))
        subprocess.run([sys.executable, "-m", "nbconvert", "--execute", "--to", "notebook", "--inplace", path], check=True,
                       stderr=subprocess.DEVNULL, timeout=200, env={**os.environ, "HOME": str(self.server.directory)})
        (done,) = json.loads(path.read_text())["cells"]
        self.assertEqual(done["outputs"][0]["text"], ["42\n"])
        self.wait_for_nothing()

    def test_a_server_restarted_in_mid_cell(self):
        notebook = self.kernel()
        number = notebook.send("x = 1\nimport time; time.sleep(100)")
        self.wait_until(lambda: any(each.current_execution for each in self.sandboxes()), "the cell runs")
        self.server.stop(signal.SIGKILL)
        self.server.start()
        error = notebook.reply(number).of("error")[0]
        self.assertIn(error["ename"], ("Disconnected", "Unavailable", "SandboxLost"))
        reply = notebook.run("'x' in globals()")
        self.assertEqual(reply.value, "False")
        self.assertIn("fresh sandbox", reply.text("stderr"))

    def test_the_lease_is_short_and_renewed(self):
        notebook = self.kernel(env={**os.environ, "CLOISTER_KERNEL_LEASE": "30s"})
        notebook.run("1")
        (info,) = self.sandboxes()
        self.assertLess((info.expire_time - info.create_time).total_seconds(), 40)
        self.wait_until(lambda: self.sandboxes()[0].expire_time > info.expire_time, "the lease was renewed")


class SettingsTest(KernelTest):
    options = ("--limits", "wall=20s memory=64M", "--snapshots=0", "--grace=1s", "--display-name", "Small")

    def test_of_the_kernelspec(self):
        notebook = self.kernel()
        self.assertRegex(notebook.run("%limits").text(), r"memory_bytes +67,108,864")
        self.assertEqual(notebook.run("%limits wall=1s\nwhile True: pass").of("error")[0]["ename"], "WallTimeout")
        self.assertIn("CLOISTER_KERNEL_SNAPSHOTS is 0", notebook.run("%rewind list").text())

    def test_a_cell_that_does_not_answer_an_interrupt(self):
        notebook = self.kernel()

        def seen(message):
            if message["msg_type"] == "stream":
                notebook.manager.interrupt_kernel()

        error = notebook.run("import time\nprint('begun')\nwhile True:\n  try: time.sleep(9)\n  except BaseException: pass",
                             seen=seen).of("error")[0]
        self.assertIn("The next cell runs in a fresh one", error["evalue"])
        self.assertEqual(notebook.run("1").value, "1")

    def test_wrong_ones_are_told(self):
        for options in (["--limits=speed=9"], ["--grace=5h"], ["--snapshots=-1"], ["--nope=1"]):
            done = subprocess.run([sys.executable, "-m", "cloister_kernel", "-f", "x", *options], capture_output=True, text=True)
            self.assertEqual(done.returncode, 2, options)
            self.assertIn(options[0].split("=")[0], done.stderr)
        done = subprocess.run([sys.executable, "-m", "cloister_kernel", "-f", "/nowhere/file"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nowhere/file", done.stderr)


if __name__ == "__main__":
    unittest.main()
