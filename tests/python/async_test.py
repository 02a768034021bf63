"""`AsyncClient`: that it does what `Client` does, and that a cancelled task leaves nothing running."""

import asyncio
import gc
import unittest

import cloister
from support import ServerTest

SLEEPS = "import time\nprint('begun', flush=True)\ntime.sleep(60)"
LONG = cloister.Limits(wall_time=60)


class AsyncTest(ServerTest, unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.async_client = cloister.AsyncClient(self.server.address, timeout=30)
        self.addAsyncCleanup(self.async_client.close)

    async def live(self):
        sandbox = await self.async_client.sandbox()
        self.addAsyncCleanup(sandbox.delete, missing_ok=True)
        return sandbox

    async def is_idle(self, sandbox):
        async def look():
            while (await sandbox.info()).state is not cloister.State.READY:
                await asyncio.sleep(0.02)

        await asyncio.wait_for(look(), 20)

    async def is_busy(self, sandbox):
        async def look():
            while (await sandbox.info()).state is not cloister.State.BUSY:
                await asyncio.sleep(0.02)

        await asyncio.wait_for(look(), 20)

    async def test_running(self):
        result = await self.async_client.run("print('x')\nn + 1", variables={"n": 1})
        self.assertEqual((result.value, result.stdout), (2, "x\n"))
        with self.assertRaises(cloister.Raised):
            await self.async_client.call("math:sqrt", -1)
        with self.assertRaises(cloister.NotFound):
            await self.async_client.run("", template="none")
        self.assertEqual(await asyncio.gather(*(self.async_client.call("builtins:abs", -n) for n in range(30))), list(range(30)))

    async def test_sandboxes(self):
        async with self.async_client.sandbox() as sandbox:
            await sandbox.run("x = 1")
            async with await sandbox.fork() as fork:
                await fork.run("x = 2")
            async with await sandbox.snapshot() as snapshot, self.async_client.sandbox(snapshot=snapshot) as copy:
                self.assertEqual((await copy.run("x")).value, 1)
            async with await sandbox.interpreter() as interpreter:
                self.assertEqual((await interpreter.run("1")).value, 1)
                self.assertEqual(len(await sandbox.interpreters()), 2)
            await sandbox.files.put("f", b"x" * 100_000)
            self.assertEqual(len(await sandbox.files.get("f")), 100_000)
            self.assertEqual(sum([len(part) async for part in sandbox.files.read("f")]), 100_000)
            self.assertEqual((await sandbox.complete("import js"))[0].text, "json")
        with self.assertRaises(cloister.NotFound):
            await self.async_client.open_sandbox(sandbox.name)

    async def test_events(self):
        sandbox = await self.live()
        execution = sandbox.stream("print('a')\n1")
        self.assertEqual([type(event).__name__ async for event in execution], ["Started", "Output", "Finished"])
        self.assertEqual((await execution.result()).value, 1)

    async def test_input_by_a_coroutine_function_and_by_a_function(self):
        sandbox = await self.live()

        async def answer(prompt):
            await asyncio.sleep(0)
            return "a" + prompt

        self.assertEqual((await sandbox.run("input('?')", input=answer)).value, "a?")
        self.assertEqual((await sandbox.run("input('?')", input=lambda prompt: "b" + prompt)).value, "b?")

    async def test_interrupt(self):
        sandbox = await self.live()
        running = asyncio.create_task(sandbox.run(SLEEPS, limits=LONG))
        await self.is_busy(sandbox)
        self.assertTrue(await sandbox.interrupt())
        self.assertEqual((await running).outcome.kind, cloister.OutcomeKind.INTERRUPTED)

    async def test_a_cancelled_run(self):
        sandbox = await self.live()
        running = asyncio.create_task(sandbox.run(SLEEPS, limits=LONG))
        await self.is_busy(sandbox)
        running.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await running
        await self.is_idle(sandbox)

    async def test_a_cancelled_reader(self):
        sandbox = await self.live()

        async def read():
            async for _ in sandbox.stream(SLEEPS, limits=LONG):
                pass

        reading = asyncio.create_task(read())
        await self.is_busy(sandbox)
        reading.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await reading
        await self.is_idle(sandbox)

    async def test_a_timeout(self):
        sandbox = await self.live()
        with self.assertRaises(asyncio.TimeoutError):
            await asyncio.wait_for(sandbox.run(SLEEPS, limits=LONG), 0.5)
        await self.is_idle(sandbox)

    async def test_an_iterator_that_is_dropped(self):
        sandbox = await self.live()
        execution = sandbox.stream(SLEEPS, limits=LONG)
        async for event in execution:
            if isinstance(event, cloister.Output):
                break
        del execution, event
        gc.collect()
        await self.is_idle(sandbox)

    async def test_a_block_that_is_left(self):
        sandbox = await self.live()
        async with sandbox.stream(SLEEPS, limits=LONG) as execution:
            await execution.next_event()
        await self.is_idle(sandbox)
        self.assertEqual([event async for event in execution], [])

    async def test_a_cancelled_sandbox_is_deleted(self):
        names = []

        async def use():
            async with self.async_client.sandbox() as sandbox:
                names.append(sandbox.name)
                await sandbox.run(SLEEPS, limits=LONG)

        using = asyncio.create_task(use())
        while not names:
            await asyncio.sleep(0.01)
        using.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await using
        self.assertNotIn(names[0], [info.name for info in await self.async_client.sandboxes()])

    async def test_creations_that_are_cancelled_leave_nothing(self):
        parent = await self.live()
        await parent.run("x = 1")
        before = {info.name for info in await self.async_client.sandboxes()}
        for number in range(24):
            make = self.async_client.sandbox() if number % 2 else parent.fork()
            making = asyncio.ensure_future(self._awaited(make))
            await asyncio.sleep(number * 0.0004)
            making.cancel()
            try:
                await (await making).delete()  # it was faster
            except asyncio.CancelledError:
                pass

        async def look():
            while {info.name for info in await self.async_client.sandboxes()} != before:
                await asyncio.sleep(0.05)

        await asyncio.wait_for(look(), 20)

    @staticmethod
    async def _awaited(awaitable):
        return await awaitable

    async def test_a_client_of_another_loop_or_closed(self):
        await self.async_client.run("1")

        def elsewhere():
            asyncio.run(self.async_client.run("1"))

        with self.assertRaisesRegex(cloister.CloisterError, "another event loop"):
            await asyncio.to_thread(elsewhere)
        client = cloister.AsyncClient(self.server.address)
        await client.close()
        with self.assertRaisesRegex(cloister.CloisterError, "is closed"):
            await client.run("1")

    async def test_map(self):
        seen = [verdict.value async for verdict in self.async_client.map("n * 2", [{"n": n} for n in range(20)])]
        self.assertEqual(seen, [n * 2 for n in range(20)])

        @self.async_client.function
        def double(n):
            return n * 2

        self.assertEqual(await double(4), 8)
        self.assertEqual([verdict.value async for verdict in self.async_client.map(double, range(3))], [0, 2, 4])

    async def test_messages_and_functions(self):
        sandbox = await self.live()
        began = asyncio.Event()
        ended = []

        async def price(item):
            await asyncio.sleep(0)
            return {"item": item, "price": 3}

        async def forever():
            began.set()
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise

        async with sandbox.connect(price, forever, lambda_free) as connection:
            self.assertEqual((await sandbox.run("import cloister\ncloister.host.price('x')['price'] + cloister.host.lambda_free(1)")).value, 5)
            await sandbox.run("for i in range(3): cloister.post(i)")
            self.assertEqual([await connection.receive(10) for _ in range(3)], [0, 1, 2])
            await connection.post({"job": 1})
            await sandbox.post("second")
            self.assertEqual((await sandbox.run("[cloister.inbox.get(timeout=10) for _ in range(2)]")).value, [{"job": 1}, "second"])
            with self.assertRaises(TimeoutError):
                await connection.receive(0.05)
            running = asyncio.create_task(sandbox.run("cloister.host.forever()", limits=LONG))
            await asyncio.wait_for(began.wait(), 20)
            await sandbox.interrupt()
            await running
            while not ended:
                await asyncio.sleep(0.01)
        with self.assertRaises(cloister.Disconnected):
            await connection.post(1)
        self.assertEqual([message async for message in connection], [])


def lambda_free(n):
    return n + 1


if __name__ == "__main__":
    unittest.main()
