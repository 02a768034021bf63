"""Cells, as a front end sees them."""

import json
import signal
import threading
import unittest

from support import KernelTest


class CellsTest(KernelTest):
    def setUp(self):
        super().setUp()
        self.notebook = self.kernel()

    def run_cell(self, code, **options):
        return self.notebook.run(code, **options)

    def test_state_and_values(self):
        self.assertEqual(self.run_cell("x = 20\nx + 1").value, "21")
        reply = self.run_cell("print('out'); import sys; print('err', file=sys.stderr); _ + 1")
        self.assertEqual((reply.text(), reply.text("stderr"), reply.value), ("out\n", "err\n", "22"))
        self.assertEqual(reply.content["execution_count"], 2)
        self.assertEqual(self.run_cell("In[1], Out[1]").value, "('x = 20\\nx + 1', 21)")
        self.assertEqual(self.run_cell("import asyncio; await asyncio.sleep(0, 7)").value, "7")

    def test_silent_cells_and_cells_without_history(self):
        self.assertEqual(self.run_cell("x = 1").content["execution_count"], 1)
        silent = self.run_cell("x = 2\nx", silent=True)
        self.assertEqual((silent.of("execute_result"), silent.of("execute_input")), ([], []))
        self.assertEqual(self.run_cell("x", store_history=False).value, "2")
        self.assertEqual(self.run_cell("x").content["execution_count"], 2)
        history = self.notebook.ask(self.notebook.client.history(hist_access_type="tail", n=10, raw=True, output=True))
        self.assertEqual(history["history"], [[1, 1, ["x = 1", None]], [1, 2, ["x", "2"]]])

    def test_user_expressions(self):
        reply = self.run_cell("x = 3", user_expressions={"good": "x + 1", "bad": "1 / 0"})
        self.assertEqual(reply.content["user_expressions"]["good"]["data"], {"text/plain": "4"})
        self.assertEqual(reply.content["user_expressions"]["bad"]["ename"], "ZeroDivisionError")

    def test_errors(self):
        reply = self.run_cell("def f():\n    return 1 / 0\nprint('before')\nf()")
        (error,) = reply.of("error")
        self.assertEqual((error["ename"], error["evalue"]), ("ZeroDivisionError", "division by zero"))
        text = "\n".join(error["traceback"])
        self.assertIn("in f\n    return 1 / 0", text)
        self.assertNotIn("cloister", text)
        self.assertEqual((reply.text(), reply.text("stderr")), ("before\n", ""))
        self.assertEqual(self.run_cell("import sys\nprint('Traceback of mine', file=sys.stderr)\n1 +").of("error")[0]["ename"],
                         "SyntaxError")
        self.assertEqual(self.run_cell("import sys; sys.exit(3)").of("error")[0]["ename"], "SystemExit")
        self.assertEqual(self.run_cell("f.__name__").value, "'f'")
        own = self.run_cell("import traceback\ntry: f()\nexcept Exception: traceback.print_exc()")
        self.assertIn("ZeroDivisionError", own.text("stderr"))

    def test_what_is_queued_behind_an_error_is_not_run(self):
        # The kernel is held until all three are there.
        numbers = [self.notebook.send(code) for code in ("import time; time.sleep(1); 1 / 0", "x = 1", "x = 2")]
        replies = [self.notebook.ask(number) for number in numbers]
        self.assertEqual([reply["status"] for reply in replies], ["error", "aborted", "aborted"])
        numbers = [self.notebook.send(code, stop_on_error=False) for code in ("import time; time.sleep(1); 1 / 0", "x = 3")]
        self.assertEqual([self.notebook.ask(number)["status"] for number in numbers], ["error", "ok"])
        self.assertEqual(self.run_cell("x").value, "3")

    def test_displays(self):
        reply = self.run_cell("from cloister import display, clear_output\n"
                              "h = display({'text/plain': 'a', 'application/json': '{\"k\": [1]}'}, raw=True, display_id='d')\n"
                              "h.update('b')\nclear_output(wait=True)")
        (shown,), (updated,) = reply.of("display_data"), reply.of("update_display_data")
        self.assertEqual(shown["data"], {"text/plain": "a", "application/json": {"k": [1]}})
        self.assertEqual((shown["transient"], updated["transient"]), ({"display_id": "d"},) * 2)
        self.assertEqual(reply.of("clear_output"), [{"wait": True}])

    def test_active_content_is_made_harmless(self):
        reply = self.run_cell("display({'text/html': '<b onclick=alert(1)>x</b><script>alert(1)</script>', "
                              "'application/javascript': 'alert(1)', 'text/plain': 'p'}, raw=True)")
        (shown,) = reply.of("display_data")
        self.assertEqual(shown["data"], {"text/plain": "p", "text/html": "<b>x</b>"})
        self.assertIn("application/javascript (may be active)", reply.text("stderr"))

    def test_what_a_task_writes_later_is_its_own_cells(self):
        first = self.notebook.send("import asyncio\nasync def f():\n  await asyncio.sleep(0.1)\n  print('late')\nt = asyncio.create_task(f())")
        self.notebook.reply(first)
        second = self.notebook.send("await t")
        parents = {}
        while True:
            message = self.notebook.client.get_iopub_msg(timeout=30)
            if message["msg_type"] == "stream":
                parents[message["content"]["text"]] = message["parent_header"]["msg_id"]
            if message["parent_header"].get("msg_id") == second and message["content"].get("execution_state") == "idle":
                break
        self.assertEqual(parents, {"late\n": first})

    def test_input_and_passwords(self):
        asked = []

        def answer(prompt, password):
            asked.append((prompt, bool(password)))
            return "Ada"

        reply = self.run_cell("import getpass\ninput('name? '), getpass.getpass('word? ')", answer=answer)
        self.assertEqual(reply.value, "('Ada', 'Ada')")
        self.assertEqual(asked, [("name? ", False), ("word? ", True)])
        self.assertEqual(self.run_cell("input()", allow_stdin=False).of("error")[0]["ename"], "EOFError")

    def test_an_interrupt_keeps_the_state(self):
        self.run_cell("x = 1")
        interrupted = threading.Event()

        def seen(message):
            if message["msg_type"] == "stream" and not interrupted.is_set():
                interrupted.set()
                self.notebook.manager.interrupt_kernel()

        reply = self.run_cell("x = 2\nprint('begun')\nwhile True: pass", seen=seen)
        self.assertEqual(reply.of("error")[0]["ename"], "KeyboardInterrupt")
        self.assertEqual(self.run_cell("x").value, "2")

    def test_an_interrupt_by_a_signal(self):
        def seen(message):
            if message["msg_type"] == "stream":
                self.notebook.manager.signal_kernel(signal.SIGINT)

        reply = self.run_cell("x = 3\nprint('begun')\nwhile True: pass", seen=seen)
        self.assertEqual(reply.of("error")[0]["ename"], "KeyboardInterrupt")
        self.assertEqual(self.run_cell("x").value, "3")

    def test_an_interrupt_of_a_cell_that_waits_for_input(self):
        def answer(prompt, password):
            self.notebook.manager.interrupt_kernel()

        reply = self.run_cell("x = 5\ninput('? ')", answer=answer)
        self.assertEqual(reply.of("error")[0]["ename"], "KeyboardInterrupt")
        self.assertEqual(self.run_cell("x, input('again? ')", answer=lambda *asked: "yes").value, "(5, 'yes')")

    def test_an_interrupt_between_cells_does_nothing(self):
        self.notebook.manager.interrupt_kernel()
        self.assertEqual(self.run_cell("1").value, "1")

    def test_completion_inspection_and_completeness(self):
        self.run_cell("number = 5\ndef shout(text, *, times=1):\n    'Says it.'\n    return text.upper() * times")
        client = self.notebook.client
        found = self.notebook.ask(client.complete("é = numb", 8))
        self.assertEqual((found["matches"], found["cursor_start"], found["cursor_end"]), (["number"], 4, 8))
        told = self.notebook.ask(client.inspect("shout(", 6))
        self.assertIn("shout(text, *, times=1)", told["data"]["text/plain"])
        self.assertIn("Says it.", told["data"]["text/plain"])
        source = self.notebook.ask(client.inspect("shout", 5, detail_level=1))
        self.assertIn("text.upper()", source["data"]["text/plain"])
        self.assertFalse(self.notebook.ask(client.inspect("nothing_of_that_name"))["found"])
        self.assertEqual(self.notebook.ask(client.is_complete("if x:")), {"status": "incomplete", "indent": "    "})

    def test_comms_are_refused(self):
        message = self.notebook.client.session.msg("comm_open", {"comm_id": "c", "target_name": "widget", "data": {}})
        self.notebook.client.shell_channel.send(message)
        while True:
            published = self.notebook.client.get_iopub_msg(timeout=30)
            if published["msg_type"] == "comm_close":
                break
        self.assertEqual(published["content"]["comm_id"], "c")
        self.assertEqual(self.notebook.ask(self.notebook.client.comm_info()), {"status": "ok", "comms": {}})

    def test_a_flood_of_output(self):
        reply = self.run_cell("for i in range(100_000): print(i)")
        self.assertEqual(reply.text(), "".join(f"{i}\n" for i in range(100_000)))
        self.assertLess(len(reply.of("stream")), 500)
        reply = self.run_cell("while True: print('x' * 10_000)")
        self.assertEqual(reply.of("error")[0]["ename"], "OutputLimit")
        self.assertLess(len(reply.text()), 17 << 20)
        self.assertEqual(self.run_cell("1").value, "1")

    def test_odd_requests(self):
        self.assertEqual(self.run_cell("").status, "ok")
        self.assertEqual(self.run_cell("'\\ud800'").status, "ok")
        big = self.run_cell("#" * (2 << 20))
        self.assertEqual(big.of("error")[0]["ename"], "InvalidRequest")
        self.assertEqual(json.dumps(self.run_cell("float('nan')").value), '"nan"')


if __name__ == "__main__":
    unittest.main()
