"""What a user's type checker sees: never run, checked by mypy (python.typed_program).

Each line with an ignore is wrong, and mypy is told to complain where it finds nothing to ignore: so nothing here is Any.
"""

from __future__ import annotations

import concurrent.futures

import cloister


def blocking() -> None:
    with cloister.Client("unix:/x", timeout=5) as client, client.sandbox(ttl=60) as sandbox:
        result: cloister.Result = client.run("1", variables={"n": 1})
        text: str = result.raise_for_outcome().text
        cpu_time: float = result.usage.cpu_time
        kind: cloister.OutcomeKind = result.outcome.kind
        forks: list[cloister.Sandbox] = sandbox.forks(2)
        content: bytes = sandbox.files.get("f")
        info: cloister.SandboxInfo = sandbox.info()
        names: list[str] = [each.text for each in sandbox.complete("x")]
        for event in sandbox.stream("1"):
            if isinstance(event, cloister.Output):
                text += event.text
        for verdict in client.map("1", [{}]):
            error: cloister.ServiceError | None = verdict.error
        maps: list[cloister.Map] = [client.map(blocking, range(3)), client.map("1", iter([{"n": 1}]))]
        with cloister.Executor(client) as executor:
            future: concurrent.futures.Future[int] = executor.submit(len, "abc")

        client.run(5)  # type: ignore[arg-type]
        client.run("1", wall_time=3)  # type: ignore[call-arg]
        number: int = client.run("1")  # type: ignore[assignment]
        sandbox.forks("2")  # type: ignore[arg-type]
        sandbox.files.get(3)  # type: ignore[arg-type]
        wrong: str = sandbox.info()  # type: ignore[assignment]
        sandbox.no_such_thing()  # type: ignore[attr-defined]
        another: str = sandbox.stream("1").result()  # type: ignore[assignment]
    print(text, cpu_time, kind, forks, content, info, names, error, future, maps, number, wrong, another)


async def awaited() -> None:
    async with cloister.AsyncClient() as client, client.sandbox() as sandbox:
        result: cloister.Result = await sandbox.run("1")
        fork: cloister.AsyncSandbox = await sandbox.fork()
        async for event in fork.stream("1"):
            sequence: int = event.sequence
        forgotten: cloister.Result = sandbox.run("1")  # type: ignore[assignment]
    print(result, sequence, forgotten)
