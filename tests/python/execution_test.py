"""Following executions: events, input, interrupts, what is abandoned, and connections that break."""

import gc
import threading
import unittest

import cloister
from support import Proxy, ServerTest

SLEEPS = "import time\nprint('begun', flush=True)\ntime.sleep(60)"
LONG = cloister.Limits(wall_time=60)


class EventsTest(ServerTest):
    def test_events_in_their_order(self):
        sandbox = self.sandbox()
        code = "import sys, cloister\nprint('a', flush=True)\nsys.stderr.write('b')\ncloister.display(3)\ncloister.clear_output()\n5"
        events = list(sandbox.stream(code))
        self.assertEqual([type(event).__name__ for event in events], ["Started", "Output", "Output", "Display", "ClearOutput", "Finished"])
        self.assertEqual([event.sequence for event in events], list(range(1, 7)))
        self.assertEqual((events[1].stream, events[1].text, events[2].stream, events[2].data), ("stdout", "a\n", "stderr", b"b"))
        self.assertEqual(events[3].bundle.text, "3")
        result = events[-1].result
        self.assertEqual((result.value, result.stdout, result.stderr, len(result.displays)), (5, "a\n", "b", 1))
        self.assertEqual(result.execution, events[0].execution)

    def test_characters_that_pieces_cut(self):
        code = "import os, time\nos.write(1, b'\\xc3')\ntime.sleep(0.2)\nos.write(1, b'\\xa9')"
        pieces = [event for event in self.client.stream(code) if isinstance(event, cloister.Output)]
        self.assertEqual(("".join(piece.text for piece in pieces), b"".join(piece.data for piece in pieces)), ("é", b"\xc3\xa9"))

    def test_result_without_reading_events(self):
        self.assertEqual(self.client.stream("print(1); 2").result().value, 2)

    def test_callbacks(self):
        seen = []
        result = self.client.run("print('x')\n1", on_event=seen.append)
        self.assertEqual((result.value, type(seen[-1])), (1, cloister.Finished))

    def test_rich_values(self):
        result = self.sandbox().run("class H:\n    def _repr_html_(self): return '<b>'\nH()", rich=True)
        self.assertEqual(result.value.data["text/html"], b"<b>")

    def test_late_output(self):
        sandbox = self.sandbox()
        sandbox.run("import threading, time\ndef f():\n    e.wait(20)\n    print('late', flush=True)\ne = threading.Event(); t = threading.Thread(target=f); t.start()")
        events = list(sandbox.stream("e.set(); t.join(); time.sleep(0.1)"))
        late = [event for event in events if isinstance(event, cloister.LateOutput)]
        self.assertEqual("".join(event.what.text for event in late), "late\n")

    def test_an_error_comes_with_the_first_event(self):
        execution = self.client.stream("", template="none")
        with self.assertRaises(cloister.NotFound):
            next(execution)
        self.assertEqual(list(execution), [])


class InputTest(ServerTest):
    def test_a_callback(self):
        asked = []

        def answer(prompt):
            asked.append((str(prompt), prompt.is_password))
            return f"<{len(asked)}>"

        result = self.sandbox().run("import getpass\na = input('name? '); b = getpass.getpass('pass? ')\na + b", input=answer)
        self.assertEqual((result.value, asked), ("<1><2>", [("name? ", False), ("pass? ", True)]))

    def test_the_end_of_input(self):
        def end(prompt):
            raise EOFError

        for callback in (end, lambda prompt: None):
            result = self.sandbox().run("input()", input=callback)
            self.assertEqual(result.outcome.exception.type, "EOFError")

    def test_a_callback_that_fails_ends_the_program(self):
        sandbox = self.sandbox()
        with self.assertRaises(ZeroDivisionError):
            sandbox.run("input()", input=lambda prompt: 1 / 0, limits=LONG)
        self.wait_until_idle(sandbox)

    def test_by_hand(self):
        execution = self.sandbox().stream("input('? ')", allow_input=True)
        with self.assertRaises(RuntimeError):
            execution.send_input("too early")
        for event in execution:
            if isinstance(event, cloister.InputRequested):
                execution.send_input("yes", event.number)
                with self.assertRaises(cloister.Refused) as caught:
                    execution.send_input("again", event.number)
                self.assertEqual(caught.exception.reason, "INPUT_NOT_EXPECTED")
        self.assertEqual(execution.result().value, "yes")


class InterruptTest(ServerTest):
    def begun(self, execution):
        for event in execution:
            if isinstance(event, cloister.Output):
                return execution
        self.fail("no output")

    def test_state_is_kept(self):
        sandbox = self.sandbox()
        sandbox.run("x = 1")
        execution = self.begun(sandbox.stream(SLEEPS, limits=LONG))
        execution.interrupt()
        result = execution.result()
        self.assertEqual((result.outcome.kind.name, result.outcome.state_preserved, result.stdout), ("INTERRUPTED", True, "begun\n"))
        with self.assertRaises(cloister.Interrupted):
            result.raise_for_outcome()
        execution.interrupt()  # idempotent
        self.assertEqual(sandbox.run("x").value, 1)

    def test_from_another_thread(self):
        sandbox = self.sandbox()
        results = []
        thread = threading.Thread(target=lambda: results.append(sandbox.run(SLEEPS, limits=LONG)))
        thread.start()
        self.wait_until(lambda: sandbox.interrupt(), "something ran")
        thread.join(20)
        self.assertEqual(results[0].outcome.kind, cloister.OutcomeKind.INTERRUPTED)
        self.assertFalse(sandbox.interrupt())

    def test_a_program_that_does_not_listen(self):
        sandbox = self.sandbox()
        code = "print('begun', flush=True)\nwhile True:\n    try:\n        while True: pass\n    except KeyboardInterrupt: pass"
        execution = self.begun(sandbox.stream(code, limits=LONG))
        execution.interrupt(grace=0.2)
        self.assertFalse(execution.result().outcome.state_preserved)
        with self.assertRaises(cloister.Lost) as caught:
            sandbox.run("1")
        self.assertEqual(caught.exception.reason, "SANDBOX_LOST")
        self.assertEqual(sandbox.info().loss.cause, cloister.OutcomeKind.INTERRUPTED)
        sandbox.restart()
        self.assertEqual(sandbox.run("1").value, 1)


class AbandonedTest(ServerTest):
    """Nothing stays running in the server."""

    def begin(self, **options):
        sandbox = self.sandbox()
        execution = sandbox.stream(SLEEPS, limits=LONG, **options)
        while not isinstance(next(execution), cloister.Output):
            pass
        return sandbox, execution

    def test_an_iterator_that_is_dropped(self):
        sandbox, execution = self.begin()
        del execution
        gc.collect()
        self.wait_until_idle(sandbox)

    def test_a_loop_that_is_left(self):
        sandbox = self.sandbox()
        with sandbox.stream(SLEEPS, limits=LONG) as execution:
            for event in execution:
                if isinstance(event, cloister.Output):
                    break
        self.wait_until_idle(sandbox)
        self.assertEqual(list(execution), [])
        with self.assertRaises(cloister.Disconnected):
            execution.result()

    def test_a_generator_round_it(self):
        sandbox = self.sandbox()

        def outputs():
            for event in sandbox.stream(SLEEPS, limits=LONG):
                if isinstance(event, cloister.Output):
                    yield event.text

        generator = outputs()
        self.assertEqual(next(generator), "begun\n")
        generator.close()
        self.wait_until_idle(sandbox)

    def test_detached_it_goes_on(self):
        sandbox, execution = self.begin(detach=True)
        name, last = execution.name, execution.last_sequence
        execution.cancel()
        self.assertIs(sandbox.info().state, cloister.State.BUSY)
        again = self.client.attach(name)
        self.assertEqual([next(again).sequence, next(again).sequence], [1, 2])
        behind = self.client.attach(name, after_sequence=last)
        again.interrupt()
        self.assertEqual([type(event) for event in behind][-1:], [cloister.Finished])
        self.assertEqual(again.result().stdout, "begun\n")


class CutTest(ServerTest):
    def setUp(self):
        super().setUp()
        self.proxy = Proxy(self.server)
        self.addCleanup(self.proxy.close)
        self.far = cloister.Client(self.proxy.address, timeout=30)
        self.addCleanup(self.far.close)

    def test_a_detached_execution_is_followed_across_cuts(self):
        sandbox = self.sandbox()
        code = "import sys\nfor i in range(6):\n    print(i, flush=True)\n    sys.stdin.readline() if False else __import__('time').sleep(0.15)"
        execution = self.far.open_sandbox(sandbox.name).stream(code, detach=True)
        sequences = []
        for event in execution:
            sequences.append(event.sequence)
            if isinstance(event, cloister.Output):
                self.proxy.cut()
        self.assertEqual(sequences, sorted(set(sequences)))
        self.assertEqual(execution.result().stdout, "0\n1\n2\n3\n4\n5\n")

    def test_an_attached_one_is_interrupted_and_says_so(self):
        sandbox = self.sandbox()
        execution = self.far.open_sandbox(sandbox.name).stream(SLEEPS, limits=LONG)
        while not isinstance(next(execution), cloister.Output):
            pass
        self.proxy.cut()
        result = execution.result()
        self.assertEqual((result.outcome.kind.name, result.stdout), ("INTERRUPTED", "begun\n"))

    def test_nothing_runs_twice(self):
        sandbox = self.sandbox()
        far = self.far.open_sandbox(sandbox.name)
        sandbox.run("n = 0")
        cut = threading.Thread(target=lambda: (self.wait_until(lambda: sandbox.info().state is cloister.State.BUSY, "it runs"), self.proxy.cut()))
        cut.start()
        result = far.run("n += 1\nimport time; time.sleep(3)")
        cut.join()
        self.assertEqual(result.outcome.kind.name, "INTERRUPTED")
        self.assertEqual(sandbox.run("n").value, 1)


if __name__ == "__main__":
    unittest.main()
