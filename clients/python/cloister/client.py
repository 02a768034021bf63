"""The client: one connection to a server, from which all else comes."""

from __future__ import annotations

from typing import Any, Callable, Generator, Iterable, List, Mapping, Sequence, Tuple


from . import methods
from .asyncio_io import AsyncioIo
from .blocking_io import BlockingIo
from .caller import Caller, new_request_id
from .channel import DEFAULT_MESSAGE_BYTES, address_or_default, metadata_with_token
from .execution import AsyncExecution, Execution
from .function import AsyncFunction, Function, FunctionMaker
from .infos import SandboxInfo, ServerInfo, SnapshotInfo, sandbox_info, server_info, snapshot_info
from .io import blocking
from .mapping import AsyncMap, Map, map_request
from .program import Content, Limits, write_files
from .runner import AsyncRunner, RunBase, RunOperations, Runner
from .sandbox import AsyncSandbox, AsyncSnapshot, Sandbox, Snapshot, SnapshotBase, write_life
from .v1 import info_service_pb2, sandbox_service_pb2 as pb
from .values import class_table

_PAGE = 500


class ClientBase(RunBase):
    def __init__(self, io_class: Any, address: str | None, timeout: float, attempts: int, classes: Iterable[type],
                 token: str | None, credentials: Any, metadata: Sequence[Tuple[str, str]], message_bytes: int) -> None:
        self.address = address_or_default(address)
        sent = metadata_with_token(metadata, token, self.address, credentials is not None)
        io = io_class(self.address, credentials, message_bytes, sent)
        self._caller = Caller(io, timeout, attempts, class_table(classes))

    def _map_timeout(self, timeout: float | None) -> float:
        """A map may take as long as it has inputs; a day is a bound, and no opinion."""
        return 86_400.0 if timeout is None else timeout


class ClientOperations(ClientBase, RunOperations):
    async def info(self) -> ServerInfo:
        """What the server is, offers and guarantees."""
        request = info_service_pb2.GetInfoRequest()
        return server_info(await self._caller.unary(methods.GET_INFO, request, repeatable=True))

    async def sandboxes(self) -> List[SandboxInfo]:
        """Live sandboxes, oldest first. `client.open_sandbox(info.name)` uses one."""
        found: List[SandboxInfo] = []
        request = pb.ListSandboxesRequest(page_size=_PAGE)
        while True:
            page = await self._caller.unary(methods.LIST_SANDBOXES, request, repeatable=True)
            found += map(sandbox_info, page.sandboxes)
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    async def snapshots(self) -> List[SnapshotInfo]:
        """Snapshots, oldest first."""
        found: List[SnapshotInfo] = []
        request = pb.ListSnapshotsRequest(page_size=_PAGE)
        while True:
            page = await self._caller.unary(methods.LIST_SNAPSHOTS, request, repeatable=True)
            found += map(snapshot_info, page.snapshots)
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    async def close(self) -> None:
        """Closes the connection. Sandboxes live on until they are deleted or expire."""
        await self._caller.io.close()

    async def _create(
        self, template: str, snapshot: str | SnapshotBase, limits: Limits | None,
        environment: Mapping[str, str] | None, files: Mapping[str, Content] | None, ttl: float | None,
        idle_timeout: float | None, timeout: float | None,
    ) -> str:
        name = snapshot if isinstance(snapshot, str) else snapshot.name
        request = pb.CreateSandboxRequest(
            request_id=new_request_id(), template=template, snapshot=name, environment=environment)
        if limits is not None:
            limits.write(request.limits)
        write_files(request.files, files or {})
        write_life(request, ttl, idle_timeout)

        async def take_back(made: pb.CreateSandboxResponse) -> None:
            await self._caller.unary(methods.DELETE_SANDBOX, pb.DeleteSandboxRequest(name=made.sandbox.name))

        made = await self._caller.create(methods.CREATE_SANDBOX, request, take_back, timeout)
        return str(made.sandbox.name)

    async def _check(self, name: str) -> None:
        await self._caller.unary(methods.GET_SANDBOX, pb.GetSandboxRequest(name=name), repeatable=True)


class Client(ClientBase, Runner):
    """A connection to a Cloister server, whose calls block.

        with cloister.Client() as client:
            print(client.run("6 * 7").value)

    Thread-safe: any number of threads may share one. Not across `os.fork()`: a child makes a Client of its own, and
    using its parent's raises CloisterError.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        timeout: float = 60.0,
        attempts: int = 5,
        classes: Iterable[type] = (),
        token: str | None = None,
        credentials: Any = None,
        metadata: Sequence[Tuple[str, str]] = (),
        message_bytes: int = DEFAULT_MESSAGE_BYTES,
    ) -> None:
        """Connects with the first call.

        Args:
            address: `unix:/path` or `host:port`; None: the environment's CLOISTER_SERVER, else
                `unix:/run/cloister/cloister.sock`.
            timeout: seconds that a call may take which says nothing else.
            attempts: how often a call is made at most, where repeating it is safe; 1: no retries.
            classes: dataclasses, named tuples, enums and exceptions of which instances are made where a sandbox sends
                such values. It decides what is in them: no `__init__` runs. Others come as `Record` and the like.
            token: a bearer token; None: the environment's CLOISTER_TOKEN, else the first line of the file that
                CLOISTER_TOKEN_FILE names. Never sent unencrypted to another machine.
            credentials: a `grpc.ChannelCredentials` for TLS; None: no encryption.
            metadata: pairs sent with each call.
            message_bytes: the largest message taken and sent.
        """
        super().__init__(BlockingIo, address, timeout, attempts, classes, token, credentials, metadata, message_bytes)

    info = blocking(ClientOperations.info)
    sandboxes = blocking(ClientOperations.sandboxes)
    snapshots = blocking(ClientOperations.snapshots)
    close = blocking(ClientOperations.close)
    _blocking_create = blocking(ClientOperations._create)
    _blocking_check = blocking(ClientOperations._check)

    def sandbox(
        self, *, template: str = "", snapshot: str | SnapshotBase = "", limits: Limits | None = None,
        environment: Mapping[str, str] | None = None, files: Mapping[str, Content] | None = None,
        ttl: float | None = None, idle_timeout: float | None = None, timeout: float | None = None,
    ) -> Sandbox:
        """Makes a live sandbox; in a `with` statement it is deleted at the end.

        Args:
            template: the server's first if empty; not with `snapshot`.
            snapshot: to copy instead.
            limits: of the sandbox, and defaults of its executions.
            environment, files: given to it; files by path below /workspace.
            ttl: seconds it lives at most; `idle_timeout`: without an execution. None: the server's defaults.
        """
        name = self._blocking_create(template, snapshot, limits, environment, files, ttl, idle_timeout, timeout)
        return Sandbox(self._caller, name)

    def open_sandbox(self, name: str) -> Sandbox:
        """The sandbox of that name. Raises NotFound."""
        self._blocking_check(name)
        return Sandbox(self._caller, name)

    def open_snapshot(self, name: str) -> Snapshot:
        """The snapshot of that name; whether it is there shows when it is used."""
        return Snapshot(self._caller, name)

    def attach(self, execution: str, *, after_sequence: int = 0, timeout: float | None = None) -> Execution:
        """Follows an execution: events retained after that number, then what comes. It runs on when this is dropped."""
        return Execution(self._caller, None, timeout, execution, after_sequence)

    def map(
        self, code: Content | Callable[..., Any] | FunctionMaker, inputs: Iterable[Any], *, function: str = "",
        variables: Mapping[str, Any] | None = None, files: Mapping[str, Content] | None = None,
        return_files: Iterable[str] = (), limits: Limits | None = None, template: str = "", concurrency: int = 0,
        ordered: bool = True, stop_on_failure: bool = False, value: bool = True, progress: bool = False,
        timeout: float | None = None,
    ) -> Map:
        """Runs one program over many inputs, each in a fresh sandbox; iterate for the `Verdict`s.

        Args:
            code: the program; with `function`, what defines that. Or a function of this process.
            inputs: any number of them. For a function: a tuple of arguments each, or the only argument. For code: a
                mapping of variables, or text or bytes for standard input. Or `Input`s.
            function: "name" or "module:name" to call with each input's arguments.
            concurrency: runs at a time, 64 at most; 0: 8.
            ordered: verdicts come in the order of the inputs, else as they are reached.
            stop_on_failure: nothing is started after a failure.
            progress: show a bar, where tqdm is installed.
            timeout: seconds for each 10,000 inputs; None: a day. Each run is bounded by `limits`.

        Errors of a single input are in its verdict; ServiceError means that the map itself broke off.
        """
        code, function, variables = FunctionMaker.program(code, function, variables)
        request = map_request(
            code, function=function, variables=variables, files=files, return_files=return_files, limits=limits,
            template=template, concurrency=concurrency, ordered=ordered, stop_on_failure=stop_on_failure, value=value)
        return Map(self._caller, request, inputs, self._map_timeout(timeout), progress)

    def function(self, target: Any = None, **options: Any) -> Any:
        """A function that runs in a fresh sandbox whenever it is called; also a decorator, with or without options.

            @client.function(limits=cloister.Limits(wall_time=1))
            def triangle(n): return sum(range(n))
            triangle(5)

        See `Function` for the options.
        """
        return Function.make(self, target, options)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self.close()


class AsyncClient(ClientOperations, AsyncRunner):
    """A connection to a Cloister server, whose calls are awaited. As `Client`, with coroutines; of one event loop.

        async with cloister.AsyncClient() as client:
            print((await client.run("6 * 7")).value)

    Cancelling a task ends what runs for it in the server.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        timeout: float = 60.0,
        attempts: int = 5,
        classes: Iterable[type] = (),
        token: str | None = None,
        credentials: Any = None,
        metadata: Sequence[Tuple[str, str]] = (),
        message_bytes: int = DEFAULT_MESSAGE_BYTES,
    ) -> None:
        """See `Client`."""
        super().__init__(AsyncioIo, address, timeout, attempts, classes, token, credentials, metadata, message_bytes)

    def sandbox(
        self, *, template: str = "", snapshot: str | SnapshotBase = "", limits: Limits | None = None,
        environment: Mapping[str, str] | None = None, files: Mapping[str, Content] | None = None,
        ttl: float | None = None, idle_timeout: float | None = None, timeout: float | None = None,
    ) -> PendingSandbox:
        """See `Client.sandbox()`. `async with client.sandbox() as sb`, or `sb = await client.sandbox()`."""
        return PendingSandbox(self, (template, snapshot, limits, environment, files, ttl, idle_timeout, timeout))

    async def open_sandbox(self, name: str) -> AsyncSandbox:
        """The sandbox of that name. Raises NotFound."""
        await self._check(name)
        return AsyncSandbox(self._caller, name)

    def open_snapshot(self, name: str) -> AsyncSnapshot:
        """See `Client.open_snapshot()`."""
        return AsyncSnapshot(self._caller, name)

    def attach(self, execution: str, *, after_sequence: int = 0, timeout: float | None = None) -> AsyncExecution:
        """See `Client.attach()`."""
        return AsyncExecution(self._caller, None, timeout, execution, after_sequence)

    def map(
        self, code: Content | Callable[..., Any] | FunctionMaker, inputs: Iterable[Any], *, function: str = "",
        variables: Mapping[str, Any] | None = None, files: Mapping[str, Content] | None = None,
        return_files: Iterable[str] = (), limits: Limits | None = None, template: str = "", concurrency: int = 0,
        ordered: bool = True, stop_on_failure: bool = False, value: bool = True, progress: bool = False,
        timeout: float | None = None,
    ) -> AsyncMap:
        """See `Client.map()`."""
        code, function, variables = FunctionMaker.program(code, function, variables)
        request = map_request(
            code, function=function, variables=variables, files=files, return_files=return_files, limits=limits,
            template=template, concurrency=concurrency, ordered=ordered, stop_on_failure=stop_on_failure, value=value)
        return AsyncMap(self._caller, request, inputs, self._map_timeout(timeout), progress)

    def function(self, target: Any = None, **options: Any) -> Any:
        """See `Client.function()`; what it makes is awaited."""
        return AsyncFunction.make(self, target, options)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        await self.close()


class PendingSandbox:
    """A sandbox that is made when this is awaited or entered."""

    def __init__(self, client: AsyncClient, arguments: Any) -> None:
        self._client = client
        self._arguments = arguments
        self._made: AsyncSandbox | None = None

    async def _make(self) -> AsyncSandbox:
        name = await self._client._create(*self._arguments)
        self._made = AsyncSandbox(self._client._caller, name)
        return self._made

    def __await__(self) -> Generator[Any, None, AsyncSandbox]:
        return self._make().__await__()

    async def __aenter__(self) -> AsyncSandbox:
        return await self._make()

    async def __aexit__(self, *exc_info: Any) -> None:
        if self._made is not None:
            await self._made.__aexit__(*exc_info)
