"""%fork, %attach, %rewind, %limits, and sandboxes that are lost."""

import unittest

from support import KernelTest


class MagicsTest(KernelTest):
    def setUp(self):
        super().setUp()
        self.notebook = self.kernel()

    def run_cell(self, code, **options):
        return self.notebook.run(code, **options)

    def wait_for_state(self, number):
        self.wait_until(lambda: "before cells" in (text := self.run_cell("%rewind list").text())
                        and str(number) in text.partition("cells ")[2].partition(" (")[0].split(", "),
                        f"the state before cell {number} is kept")

    def test_unknown_ones(self):
        for code in ("%nope", "%%time\n1", "%", "!ls"):
            error = self.run_cell(code).of("error")[0]
            self.assertEqual(error["ename"], "MagicError", code)
        self.assertIn("%rewind", self.run_cell("%nope").of("error")[0]["evalue"])
        self.assertEqual(self.run_cell("%matplotlib inline\n1 + 1").value, "2")
        self.assertIn("%fork [TTL]", self.run_cell("%help").text())

    def test_a_fork_is_used_by_others(self):
        self.run_cell("x = [1]\nopen('file', 'w').write('kept')")
        name = self.run_cell("%fork 10m").text().split("\n")[0]
        self.run_cell("x.append(2)")
        fork = self.service.open_sandbox(name)
        self.addCleanup(fork.delete, missing_ok=True)
        self.assertEqual(fork.run("x, open('file').read()").value, ([1], "kept"))
        other = self.kernel()
        self.assertEqual(other.run("x").of("error")[0]["ename"], "NameError")
        self.assertEqual(other.run(f"%attach {name}").status, "ok")
        self.assertEqual(other.run("x").value, "[1]")
        self.assertEqual(self.run_cell("x").value, "[1, 2]")
        for wrong in ("sandboxes/none", "none", ""):
            self.assertEqual(self.run_cell(f"%attach {wrong}").of("error")[0]["ename"], "MagicError")
        self.assertEqual(self.run_cell("x").value, "[1, 2]")

    def test_rewinding(self):
        self.run_cell("x = 1; open('file', 'w').write('one')")
        self.wait_for_state(2)
        self.run_cell("x = 2; open('file', 'w').write('two')")
        self.wait_for_state(3)
        self.run_cell("x = 3")
        self.assertIn("before cell 3", self.run_cell("%rewind").text())
        self.assertEqual(self.run_cell("x").value, "2")
        self.assertIn("before cell 2", self.run_cell("%rewind 2").text())
        reply = self.run_cell("x, open('file').read()")
        self.assertEqual((reply.value, reply.content["execution_count"]), ("(1, 'one')", 2))
        error = self.run_cell("%rewind 77").of("error")[0]
        self.assertIn("the state before cell 77 is not kept; kept are the states before cells 2", error["evalue"])

    def test_states_are_bounded(self):
        for number in range(1, 8):
            self.run_cell(f"x = {number}")
            self.wait_for_state(number + 1)
        self.assertIn("cells 4, 5, 6, 7, 8 (", self.run_cell("%rewind list").text())
        self.wait_until(lambda: len(self.service.snapshots()) == 5, "older snapshots are deleted")
        self.notebook.close()
        self.wait_until(lambda: not self.service.snapshots() and not self.sandboxes(), "all ends with the kernel")

    def test_what_cannot_be_kept_is_told(self):
        self.run_cell("import threading, time\nthreading.Thread(target=time.sleep, args=(30,), daemon=True).start()")
        self.wait_until(lambda: "refused" in self.run_cell("%rewind list").text(), "the refusal is told")

    def test_limits(self):
        self.run_cell("x = 1")
        self.assertRegex(self.run_cell("%limits").text(), r"wall_time +300 +300")
        self.assertRegex(self.run_cell("%limits wall=1s memory=300M").text(), r"memory_bytes +314,572,800")
        self.assertEqual(self.run_cell("x").value, "1")
        error = self.run_cell("while True: pass").of("error")[0]
        self.assertEqual(error["ename"], "WallTimeout")
        self.assertEqual(self.run_cell("x").value, "1")
        self.assertIn("at most", self.run_cell("%limits memory=900G").of("error")[0]["evalue"])
        self.assertIn("is no limit", self.run_cell("%limits speed=9").of("error")[0]["evalue"])

    def test_out_of_memory(self):
        self.run_cell("x = 1")
        self.wait_for_state(2)
        error = self.run_cell("kept = []\nwhile True: kept.append(bytearray(1 << 20))").of("error")[0]
        self.assertEqual(error["ename"], "MemoryLimit")
        self.assertIn("The next cell runs in a fresh one", error["evalue"])
        self.assertIn("before cell 2", self.run_cell("%rewind").text())
        self.assertEqual(self.run_cell("x").value, "1")

    def test_a_sandbox_that_ends(self):
        self.run_cell("x = 1")
        error = self.run_cell("import os; os._exit(7)").of("error")[0]
        self.assertIn("status 7", error["evalue"])
        reply = self.run_cell("'x' in globals()")
        self.assertEqual(reply.value, "False")
        self.assertIn("this is a fresh sandbox", reply.text("stderr"))
        self.assertEqual(self.run_cell("1").text("stderr"), "")
        # Ended by somebody else, between cells.
        for sandbox in self.sandboxes():
            self.service.open_sandbox(sandbox.name).delete()
        error = self.run_cell("2").of("error")[0]
        self.assertEqual(error["ename"], "SandboxLost")
        self.assertIn("this cell was not run", error["evalue"])
        self.assertEqual(self.run_cell("3").value, "3")


if __name__ == "__main__":
    unittest.main()
