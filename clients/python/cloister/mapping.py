"""One program over many inputs, each in a sandbox nobody used before (MapCode)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterable, Iterator, Mapping, Sequence, Sized

from . import methods
from .caller import Caller, Handle
from .errors import CloisterError, Disconnected, ServiceError
from .io import Stream, blocking
from .outcome import Outcome
from .program import Content, Limits, as_bytes, write_arguments, write_call, write_program, write_values
from .result import Result, ReturnedFile
from .status import error_of_status
from .v1 import execution_service_pb2 as pb

# Of one call: what the server takes, and what it is good to hold at a time.
_CALL_INPUTS = 10_000
_CALL_BYTES = 8 << 20
# Inputs that come one by one are asked for so many at a time.
_CALL_INPUTS_OF_ITERATORS = 1_000


@dataclass(frozen=True)
class Input:
    """What one run of a map has of its own.

    Attributes:
        arguments: of the function.
        variables: set before the code starts.
        stdin: all of standard input.
    """

    arguments: Sequence[Any] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    stdin: Content = b""


@dataclass(frozen=True)
class Verdict:
    """What came of one input.

    Attributes:
        index: of the input, from 0.
        error: why it was not run; then there is neither outcome nor output.
        result: output, value, files and outcome; None where there is an `error`.
    """

    index: int
    error: ServiceError | None
    result: Result | None

    @property
    def ok(self) -> bool:
        """Whether it ran and succeeded."""
        return self.result is not None and self.result.ok

    @property
    def outcome(self) -> Outcome:
        """How it ended. Raises the `error` if there is one."""
        return self._ran().outcome

    @property
    def value(self) -> Any:
        """What the function returned, or the value of the last expression.

        Raises:
            ServiceError, OutcomeError: there is none, because it did not run or did not succeed.
            CloneError: it cannot be cloned.
        """
        return self._ran().raise_for_outcome().value

    @property
    def stdout(self) -> str:
        return self._ran().stdout

    @property
    def stderr(self) -> str:
        return self._ran().stderr

    @property
    def files(self) -> Mapping[str, ReturnedFile]:
        return self._ran().files

    def _ran(self) -> Result:
        if self.result is None:
            raise self.error or CloisterError("the input was not run")
        return self.result


class MapBase(Handle):
    """Verdicts of a map, as they come. Of one task or thread. Dropping it, or leaving its `with` block, ends what runs."""

    def __init__(
        self,
        caller: Caller,
        program: pb.MapCodeRequest,
        inputs: Iterable[Any],
        timeout: float,
        progress: bool,
    ) -> None:
        self._caller = caller
        self._program = program
        self._is_call = program.program.HasField("call")
        self._timeout = timeout
        self._total = len(inputs) if isinstance(inputs, Sized) else None
        self._inputs = iter(inputs)
        self._held: pb.MapInput | None = None
        self._first = 0
        self._sent = 0
        self._stream: Stream[Any] | None = None
        self._ended = False
        self._bar = _progress_bar(self._total) if progress else None
        self.succeeded_count = 0
        """Verdicts so far that were no failures; whole once the iteration has ended, as the next two."""
        self.failed_count = 0
        self.skipped_count = 0
        """Inputs of the last call that were left after a failure, with `stop_on_failure`."""

    def cancel(self) -> None:
        """Ends what runs, and starts nothing more. Never blocks; may be repeated."""
        self._ended = True
        if self._stream is not None:
            self._stream.cancel()
        self._close_bar()

    def __del__(self) -> None:
        stream = getattr(self, "_stream", None)
        if stream is not None:
            try:
                stream.cancel()
            except Exception:  # at the end of the process
                pass

    def _begin(self) -> bool:
        """Starts the call for the next inputs, if there are any."""
        request = pb.MapCodeRequest()
        request.CopyFrom(self._program)
        # Of an iterator a few at first, so that verdicts do not wait for all it has.
        growing = min(_CALL_INPUTS_OF_ITERATORS, max(1, 2 * self._sent))
        size, most = 0, _CALL_INPUTS if self._total is not None else growing
        for message in self._messages():
            length = message.ByteSize()
            if request.inputs and (size + length > _CALL_BYTES or len(request.inputs) >= most):
                self._held = message
                break
            request.inputs.append(message)
            size += length
        if not request.inputs:
            return False
        self._first, self._sent = self._first + self._sent, len(request.inputs)
        self._stream = self._caller.stream(methods.MAP_CODE, request, self._timeout)
        return True

    def _messages(self) -> Iterator[pb.MapInput]:
        if self._held is not None:
            held, self._held = self._held, None
            yield held
        for input_ in self._inputs:
            yield _message(input_, self._is_call)

    def _verdict(self, message: Any) -> Verdict:
        index = self._first + message.index
        if message.HasField("error"):
            verdict = Verdict(index, error_of_status(message.error), None)
        else:
            verdict = Verdict(index, None, Result(_response(message), self._caller.classes))
        if verdict.ok:
            self.succeeded_count += 1
        else:
            self.failed_count += 1
        if self._bar is not None:
            self._bar.update()
        return verdict

    def _end_of_call(self, summary: Any) -> None:
        self._stream = None
        self.skipped_count += summary.skipped_count
        if self._program.stop_on_failure and self.failed_count:
            self._ended = True

    def _close_bar(self) -> None:
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()


class MapOperations(MapBase):
    async def next_verdict(self) -> Verdict | None:
        """Waits for the next; None after the last. Raises ServiceError where the map itself broke off."""
        try:
            while not self._ended:
                if self._stream is None and not self._begin():
                    break
                assert self._stream is not None
                response = await self._stream.read()
                if response is None:
                    raise Disconnected("the stream of verdicts ended before its summary")
                kind = response.WhichOneof("response")
                if kind == "verdict":
                    return self._verdict(response.verdict)
                if kind == "summary":
                    self._end_of_call(response.summary)
        except BaseException:
            self.cancel()
            raise
        self._close_bar()
        return None


class AsyncMap(MapOperations):
    """See `MapBase`. `async for verdict in map`."""

    def __aiter__(self) -> AsyncMap:
        return self

    async def __anext__(self) -> Verdict:
        verdict = await self.next_verdict()
        if verdict is None:
            raise StopAsyncIteration
        return verdict

    async def __aenter__(self) -> AsyncMap:
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        self.cancel()


class Map(MapBase):
    """See `MapBase`. `for verdict in map`."""

    next_verdict = blocking(MapOperations.next_verdict)

    def __iter__(self) -> Map:
        return self

    def __next__(self) -> Verdict:
        verdict = self.next_verdict()
        if verdict is None:
            raise StopIteration
        return verdict

    def __enter__(self) -> Map:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self.cancel()


def map_request(
    code: Content,
    *,
    function: str = "",
    variables: Mapping[str, Any] | None = None,
    files: Mapping[str, Content] | None = None,
    return_files: Iterable[str] = (),
    limits: Limits | None = None,
    template: str = "",
    concurrency: int = 0,
    ordered: bool = True,
    stop_on_failure: bool = False,
    value: bool = True,
) -> pb.MapCodeRequest:
    """What all inputs have in common."""
    request = pb.MapCodeRequest(template=template, concurrency=concurrency, stop_on_failure=stop_on_failure)
    request.order = pb.MapCodeRequest.ORDER_INPUT if ordered else pb.MapCodeRequest.ORDER_COMPLETION
    write_program(request.program, code, variables=variables, files=files, return_files=return_files,
                  value=value and not function)
    if function:
        write_call(request.program.call, function, (), {})
    if limits is not None:
        limits.write(request.limits)
    return request


def _message(given: Any, is_call: bool) -> pb.MapInput:
    """An input: of a call a tuple is its arguments and all else its only one; of code a mapping is its variables, and
    text or bytes its standard input."""
    if isinstance(given, Input):
        input_ = given
    elif is_call:
        input_ = Input(arguments=given if type(given) is tuple else (given,))
    elif isinstance(given, Mapping):
        input_ = Input(variables=given)
    elif isinstance(given, (str, bytes)):
        input_ = Input(stdin=given)
    else:
        raise TypeError(f"an input of a map of code is a mapping (variables), text or bytes (stdin), or a "
                        f"cloister.Input, not {type(given).__name__}")
    message = pb.MapInput(stdin=as_bytes(input_.stdin))
    write_arguments(message.arguments, input_.arguments)
    write_values(message.variables, input_.variables, "variables")
    return message


def _response(verdict: Any) -> Any:
    return pb.RunCodeResponse(outcome=verdict.outcome, stdout=verdict.stdout, stderr=verdict.stderr,
                              files=verdict.files, start_kind=verdict.start_kind)


def _progress_bar(total: int | None) -> Any:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm(total=total, unit="run")
