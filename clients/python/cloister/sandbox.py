"""Live sandboxes: they keep variables, imports and files from one execution to the next, for one user."""

from __future__ import annotations

from typing import Any, Callable, Iterable, List, Mapping, cast

from . import methods
from .caller import Caller, Handle, duration, new_request_id
from .errors import NotFound, ServiceError
from .files import AsyncFiles, Files
from .infos import Profile, SandboxInfo, SnapshotInfo, sandbox_info, snapshot_info
from .interpreter import AsyncInterpreter, Interpreter, InterpreterOperations, InterpreterRunner
from .io import blocking
from .connection import AsyncConnection
from .program import Limits
from .runner import AsyncRunner
from .v1 import interpreter_service_pb2 as interpreter_pb
from .v1 import sandbox_service_pb2 as pb


class SandboxOperations(InterpreterOperations):
    async def info(self) -> SandboxInfo:
        """It as it is now; never waits for an execution, and does not count as use."""
        request = pb.GetSandboxRequest(name=self.name)
        return sandbox_info((await self._caller.unary(methods.GET_SANDBOX, request, repeatable=True)).sandbox)

    async def update(self, *, ttl: float | None = None, idle_timeout: float | None = None) -> SandboxInfo:
        """Changes how long it lives: `ttl` seconds from now, `idle_timeout` seconds without an execution."""
        request = pb.UpdateSandboxRequest(name=self.name)
        write_life(request, ttl, idle_timeout)
        return sandbox_info((await self._caller.unary(methods.UPDATE_SANDBOX, request, repeatable=True)).sandbox)

    async def restart(self) -> SandboxInfo:
        """Gives it a new interpreter and an empty workspace under the same name: the way on from a loss."""
        request = pb.RestartSandboxRequest(name=self.name)
        return sandbox_info((await self._caller.unary(methods.RESTART_SANDBOX, request)).sandbox)

    async def delete(self, *, missing_ok: bool = False) -> None:
        """Ends it: what runs in it is killed; forks and snapshots live on.

        Args:
            missing_ok: no NotFound where it has ended already.
        """
        try:
            await self._caller.unary(methods.DELETE_SANDBOX, pb.DeleteSandboxRequest(name=self.name),
                                     repeatable=missing_ok)
        except NotFound:
            if not missing_ok:
                raise

    async def _fork(self, count: int, limits: Limits | None, ttl: float | None, idle_timeout: float | None) -> List[str]:
        request = pb.ForkSandboxRequest(request_id=new_request_id(), name=self.name, count=count)
        if limits is not None:
            limits.write(request.limits)
        write_life(request, ttl, idle_timeout)

        async def take_back(made: pb.ForkSandboxResponse) -> None:
            for each in made.sandboxes:
                await self._caller.unary(methods.DELETE_SANDBOX, pb.DeleteSandboxRequest(name=each.name))

        made = await self._caller.create(methods.FORK_SANDBOX, request, take_back)
        return [each.name for each in made.sandboxes]

    async def _snapshot(self, ttl: float | None) -> str:
        request = pb.CreateSnapshotRequest(request_id=new_request_id(), sandbox=self.name)
        write_life(request, ttl, None)

        async def take_back(made: pb.CreateSnapshotResponse) -> None:
            await self._caller.unary(methods.DELETE_SNAPSHOT, pb.DeleteSnapshotRequest(name=made.snapshot.name))

        return str((await self._caller.create(methods.CREATE_SNAPSHOT, request, take_back)).snapshot.name)

    async def _interpreter(
        self, id: str, profile: Profile | None, imports: Iterable[str], memory_limit_bytes: int,
        environment: Mapping[str, str] | None,
    ) -> str:
        request = interpreter_pb.CreateInterpreterRequest(
            request_id=new_request_id(), sandbox=self.name, interpreter_id=id, imports=imports,
            memory_limit_bytes=memory_limit_bytes, environment=environment)
        if profile is not None:
            request.profile = cast(Any, profile.value)

        async def take_back(made: interpreter_pb.CreateInterpreterResponse) -> None:
            delete = interpreter_pb.DeleteInterpreterRequest(name=made.interpreter.name)
            await self._caller.unary(methods.DELETE_INTERPRETER, delete)

        return str((await self._caller.create(methods.CREATE_INTERPRETER, request, take_back)).interpreter.name)

    async def _interpreters(self) -> List[str]:
        request = interpreter_pb.ListInterpretersRequest(sandbox=self.name)
        found = await self._caller.unary(methods.LIST_INTERPRETERS, request, repeatable=True)
        return [each.name for each in found.interpreters]


def write_life(request: Any, ttl: float | None, idle_timeout: float | None) -> None:
    if ttl is not None:
        duration(ttl, request.ttl)
    if idle_timeout is not None:
        duration(idle_timeout, request.idle_timeout)


class SnapshotBase(Handle):
    """Attributes: name: `snapshots/...`."""

    def __init__(self, caller: Caller, name: str) -> None:
        self._caller = caller
        self.name = name

    def __repr__(self) -> str:
        return f"<cloister.{type(self).__name__} {self.name}>"


class SnapshotOperations(SnapshotBase):
    async def info(self) -> SnapshotInfo:
        """What it was made of, and how long it lives."""
        request = pb.GetSnapshotRequest(name=self.name)
        return snapshot_info((await self._caller.unary(methods.GET_SNAPSHOT, request, repeatable=True)).snapshot)

    async def delete(self) -> None:
        """Ends it; sandboxes made from it live on."""
        await self._caller.unary(methods.DELETE_SNAPSHOT, pb.DeleteSnapshotRequest(name=self.name))


class AsyncSnapshot(SnapshotOperations):
    """A sandbox frozen to be copied from; `async with` deletes it at the end."""

    async def __aenter__(self) -> AsyncSnapshot:
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        await self.delete()


class Snapshot(SnapshotBase):
    """A sandbox frozen to be copied from: `client.sandbox(snapshot=...)`; `with` deletes it at the end."""

    info = blocking(SnapshotOperations.info)
    delete = blocking(SnapshotOperations.delete)

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self.delete()


class AsyncSandbox(SandboxOperations, AsyncRunner):
    """A live sandbox; `async with` deletes it at the end. As `Sandbox`, with coroutines."""

    def __init__(self, caller: Caller, name: str) -> None:
        super().__init__(caller, name)
        self.files = AsyncFiles(caller, name)

    async def fork(self, *, limits: Limits | None = None, ttl: float | None = None,
                   idle_timeout: float | None = None) -> AsyncSandbox:
        """See `Sandbox.fork()`."""
        return AsyncSandbox(self._caller, (await self._fork(1, limits, ttl, idle_timeout))[0])

    async def forks(self, count: int, *, limits: Limits | None = None, ttl: float | None = None,
                    idle_timeout: float | None = None) -> List[AsyncSandbox]:
        """See `Sandbox.forks()`."""
        return [AsyncSandbox(self._caller, name) for name in await self._fork(count, limits, ttl, idle_timeout)]

    async def snapshot(self, *, ttl: float | None = None) -> AsyncSnapshot:
        """See `Sandbox.snapshot()`."""
        return AsyncSnapshot(self._caller, await self._snapshot(ttl))

    async def interpreter(
        self, id: str = "", *, profile: Profile | None = None, imports: Iterable[str] = (), memory_limit_bytes: int = 0,
        environment: Mapping[str, str] | None = None,
    ) -> AsyncInterpreter:
        """See `Sandbox.interpreter()`."""
        return AsyncInterpreter(
            self._caller, await self._interpreter(id, profile, imports, memory_limit_bytes, environment))

    async def interpreters(self) -> List[AsyncInterpreter]:
        """All of them, `main` first."""
        return [AsyncInterpreter(self._caller, name) for name in await self._interpreters()]

    def connect(self, *functions: Callable[..., Any], **options: Any) -> AsyncConnection:
        """See `Sandbox.connect()`."""
        return AsyncConnection(self._caller, self.name, functions, **options)

    async def __aenter__(self) -> AsyncSandbox:
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        try:
            await self.delete(missing_ok=True)
        except ServiceError:
            if exc_info[1] is None:  # else that is the news; `ttl` ends what could not be deleted
                raise


class Sandbox(InterpreterRunner):
    """A live sandbox; `with` deletes it at the end. Thread-safe: executions queue in the order in which they came.

    One that is neither deleted nor used ends by itself after its `ttl` or `idle_timeout`.
    """

    info = blocking(SandboxOperations.info)
    update = blocking(SandboxOperations.update)
    restart = blocking(SandboxOperations.restart)
    delete = blocking(SandboxOperations.delete)
    _blocking_fork = blocking(SandboxOperations._fork)
    _blocking_snapshot = blocking(SandboxOperations._snapshot)
    _blocking_interpreter = blocking(SandboxOperations._interpreter)
    _blocking_interpreters = blocking(SandboxOperations._interpreters)

    def __init__(self, caller: Caller, name: str) -> None:
        super().__init__(caller, name)
        self.files = Files(caller, name)

    def fork(self, *, limits: Limits | None = None, ttl: float | None = None,
             idle_timeout: float | None = None) -> Sandbox:
        """A copy of state and files, apart from then on; made between executions.

        Raises:
            Refused: FORK_REFUSED names what cannot be copied (threads, other interpreters); FORK_UNSUPPORTED.
        """
        return Sandbox(self._caller, self._blocking_fork(1, limits, ttl, idle_timeout)[0])

    def forks(self, count: int, *, limits: Limits | None = None, ttl: float | None = None,
              idle_timeout: float | None = None) -> List[Sandbox]:
        """As many copies, at most 100; all or none."""
        return [Sandbox(self._caller, name) for name in self._blocking_fork(count, limits, ttl, idle_timeout)]

    def snapshot(self, *, ttl: float | None = None) -> Snapshot:
        """A copy that nobody runs in, to make sandboxes from; lives `ttl` seconds at most."""
        return Snapshot(self._caller, self._blocking_snapshot(ttl))

    def interpreter(
        self, id: str = "", *, profile: Profile | None = None, imports: Iterable[str] = (), memory_limit_bytes: int = 0,
        environment: Mapping[str, str] | None = None,
    ) -> Interpreter:
        """A further interpreter in this sandbox, with variables and a queue of its own.

        Args:
            id: its name's last part; the server chooses if empty.
            profile: None: ISOLATED where all of `imports` load there, else PROCESS.
            imports: modules to import first.
            memory_limit_bytes: with ISOLATED only; 0: bounded by the sandbox.

        Raises:
            Refused: IMPORT_FAILED, PROFILE_UNSUPPORTED.
        """
        name = self._blocking_interpreter(id, profile, imports, memory_limit_bytes, environment)
        return Interpreter(self._caller, name)

    def interpreters(self) -> List[Interpreter]:
        """All of them, `main` first."""
        return [Interpreter(self._caller, name) for name in self._blocking_interpreters()]

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        try:
            self.delete(missing_ok=True)
        except ServiceError:
            if exc_info[1] is None:  # else that is the news; `ttl` ends what could not be deleted
                raise
