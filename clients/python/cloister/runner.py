"""Running code and calling functions: in a fresh sandbox for each call (`Client`), or in a live one (`Sandbox`,
`Interpreter`). The same methods everywhere.
"""

from __future__ import annotations

from typing import Any, Callable, Iterable, Mapping, Sequence

from . import methods
from .caller import Handle, new_request_id
from .events import Event
from .execution import AsyncExecution, Execution, ExecutionOperations, Prompt, follow
from .io import blocking
from .program import Content, Limits, write_call, write_program
from .result import Result
from .v1 import execution_service_pb2 as pb

# What a call may take beyond the wall time of its program: its queue, its transport.
_BEYOND_WALL_TIME = 30.0


class RunBase(Handle):
    """Attributes: _target: the interpreter to run in; empty: a fresh sandbox."""

    _target = ""

    def _execute_request(
        self,
        code: Content,
        *,
        limits: Limits | None = None,
        template: str = "",
        detach: bool = False,
        allow_input: bool = False,
        rich: bool = False,
        silent: bool = False,
        store_history: bool = True,
        **program: Any,
    ) -> pb.ExecuteRequest:
        message = pb.ExecuteRequest(
            request_id=new_request_id(), template=template, interpreter=self._target, allow_input=allow_input)
        message.on_disconnect = (
            pb.ExecuteRequest.ON_DISCONNECT_DETACH if detach else pb.ExecuteRequest.ON_DISCONNECT_INTERRUPT)
        write_program(message.program, code, **program)
        if limits is not None:
            limits.write(message.limits)
        write_cell(message.cell if rich or silent or not store_history else None, rich, silent, store_history)
        return message

    def _execution_timeout(self, limits: Limits | None, timeout: float | None) -> float:
        if timeout is not None:
            return timeout
        wall_time = limits.wall_time if limits is not None else None
        return max(self._caller.timeout, (wall_time or 0) + _BEYOND_WALL_TIME)


class RunOperations(RunBase):
    async def run(
        self,
        code: Content,
        *,
        variables: Mapping[str, Any] | None = None,
        stdin: Content = b"",
        args: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        files: Mapping[str, Content] | None = None,
        return_files: Iterable[str] = (),
        limits: Limits | None = None,
        file_name: str = "",
        value: bool = True,
        template: str = "",
        check: bool = False,
        input: Callable[[Prompt], Any] | None = None,
        on_event: Callable[[Event], Any] | None = None,
        rich: bool = False,
        silent: bool = False,
        store_history: bool = True,
        timeout: float | None = None,
    ) -> Result:
        """Runs Python code and waits for its end.

        Args:
            code: source text, or bytes that the interpreter itself decodes. At most 1 MiB.
            variables: set before the code starts, by name; typed values, no pickle.
            stdin: all of standard input.
            args: `sys.argv[1:]`.
            environment: variables added to the template's.
            files: put below /workspace first, by relative path.
            return_files: paths below /workspace to return in `result.files`.
            limits: where the server's, or the sandbox's, are not wanted.
            file_name: shown in tracebacks; "main.py" if empty.
            value: whether `result.value` is wanted.
            template: of a fresh sandbox; the server's first if empty.
            check: raise an OutcomeError unless the program succeeds.
            input: called with the prompt when the program waits in `input()`; returns the line, or None for the end of
                input. In live sandboxes only.
            on_event: called with each event as it comes.
            rich: the value in all its MIME forms, as `MimeBundle`; live sandboxes only.
            silent, store_history: as in notebooks; live sandboxes only.
            timeout: seconds for all of it, waiting in queues included; past it the program is ended. None: the
                client's, or 30 s beyond `limits.wall_time`, whichever is more.

        Raises:
            ServiceError: it could not be run.
            OutcomeError: with `check`, it ran and did not succeed.
            CloneError: a variable cannot be sent.
        """
        request = pb.RunCodeRequest if input is None and on_event is None else pb.ExecuteRequest
        message = request(request_id=new_request_id(), template=template, interpreter=self._target)
        write_program(
            message.program, code, file_name=file_name, args=args, environment=environment, files=files, stdin=stdin,
            return_files=return_files, variables=variables, value=value)
        if limits is not None:
            limits.write(message.limits)
        write_cell(message.cell if rich or silent or not store_history else None, rich, silent, store_history)
        timeout = self._execution_timeout(limits, timeout)
        if request is pb.RunCodeRequest:
            response = await self._caller.unary(methods.RUN_CODE, message, timeout=timeout, repeatable=True)
            result = Result(response, self._caller.classes)
        else:
            message.allow_input = input is not None
            result = await follow(ExecutionOperations(self._caller, message, timeout), input, on_event)
        return result.raise_for_outcome() if check else result

    async def call(self, function: str, /, *args: Any, **kwargs: Any) -> Any:
        """Calls a function by name with typed arguments, and returns its typed result.

        Args:
            function: "module:name" of what can be imported there, or a name in `__main__` of a live sandbox.

        Raises:
            OutcomeError: it did not return; `Raised` where it raised.
            CloneError: an argument cannot be sent, or the result cannot be made here.
            ServiceError: it could not be called.
        """
        return (await RunOperations.call_function(self, function, args, kwargs)).raise_for_outcome().value

    async def call_function(
        self,
        function: str,
        arguments: Iterable[Any] = (),
        keywords: Mapping[str, Any] | None = None,
        *,
        code: Content = b"",
        limits: Limits | None = None,
        template: str = "",
        variables: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> Result:
        """As `call()`, with options, and with all that came of it; `result.value` is what the function returned.

        Args:
            code: what is run before the call, e.g. the source of the function.
        """
        message = pb.CallFunctionRequest(request_id=new_request_id(), template=template, interpreter=self._target)
        write_program(message.program, code, variables=variables)
        write_call(message.call, function, arguments, keywords or {})
        if limits is not None:
            limits.write(message.limits)
        timeout = self._execution_timeout(limits, timeout)
        response = await self._caller.unary(methods.CALL_FUNCTION, message, timeout=timeout, repeatable=True)
        return Result(response, self._caller.classes)

    async def interrupt(self, grace: float | None = None) -> bool:
        """Interrupts whatever runs in this live interpreter now, as `Execution.interrupt()`.

        Returns:
            Whether something ran. False as well where its end came first.
        """
        from .caller import duration

        request = pb.InterruptExecutionRequest(interpreter=self._target)
        if grace is not None:
            duration(grace, request.grace)
        response = await self._caller.unary(
            methods.INTERRUPT_EXECUTION, request, timeout=self._caller.timeout + (grace or 0), repeatable=True)
        return bool(response.HasField("outcome"))


def write_cell(cell: Any, rich: bool, silent: bool, store_history: bool) -> None:
    if cell is not None:
        cell.return_bundle, cell.silent, cell.skip_history = rich, silent, not store_history


_STREAM_DOC = """Starts Python code and returns its `{0}`, which is iterated for typed events as they come.

        Args as of `run()`, and:
            detach: the program goes on when nobody reads; `client.attach(execution.name)` follows it again.
            allow_input: whether `input()` asks this stream (event `InputRequested`, answered by `send_input()`).
            timeout: seconds until the stream ends with DeadlineExceeded, and the program with it unless detached.

        Errors come with the first event.
        """


class AsyncRunner(RunOperations):
    def stream(
        self,
        code: Content,
        *,
        variables: Mapping[str, Any] | None = None,
        stdin: Content = b"",
        args: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        files: Mapping[str, Content] | None = None,
        return_files: Iterable[str] = (),
        limits: Limits | None = None,
        file_name: str = "",
        value: bool = True,
        template: str = "",
        detach: bool = False,
        allow_input: bool = False,
        rich: bool = False,
        silent: bool = False,
        store_history: bool = True,
        timeout: float | None = None,
    ) -> AsyncExecution:
        request = self._execute_request(
            code, variables=variables, stdin=stdin, args=args, environment=environment, files=files,
            return_files=return_files, limits=limits, file_name=file_name, value=value, template=template, detach=detach,
            allow_input=allow_input, rich=rich, silent=silent, store_history=store_history)
        return AsyncExecution(self._caller, request, self._execution_timeout(limits, timeout))

    stream.__doc__ = _STREAM_DOC.format("AsyncExecution")


class Runner(RunBase):
    run = blocking(RunOperations.run)
    call = blocking(RunOperations.call)
    call_function = blocking(RunOperations.call_function)
    interrupt = blocking(RunOperations.interrupt)

    def stream(
        self,
        code: Content,
        *,
        variables: Mapping[str, Any] | None = None,
        stdin: Content = b"",
        args: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        files: Mapping[str, Content] | None = None,
        return_files: Iterable[str] = (),
        limits: Limits | None = None,
        file_name: str = "",
        value: bool = True,
        template: str = "",
        detach: bool = False,
        allow_input: bool = False,
        rich: bool = False,
        silent: bool = False,
        store_history: bool = True,
        timeout: float | None = None,
    ) -> Execution:
        request = self._execute_request(
            code, variables=variables, stdin=stdin, args=args, environment=environment, files=files,
            return_files=return_files, limits=limits, file_name=file_name, value=value, template=template, detach=detach,
            allow_input=allow_input, rich=rich, silent=silent, store_history=store_history)
        return Execution(self._caller, request, self._execution_timeout(limits, timeout))

    stream.__doc__ = _STREAM_DOC.format("Execution")
