"""What a program is given: limits, inputs and files, and how they become requests."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Iterable, Mapping, Sequence, Union

from . import values
from .caller import duration
from .outcome import seconds
from .v1 import program_pb2 as pb
from .v1 import value_pb2

Content = Union[str, bytes]

_DURATIONS = ("wall_time", "cpu_time")


@dataclass(frozen=True)
class Limits:
    """Bounds of one execution, or of a live sandbox. None: the server's default. Above its maximum: InvalidRequest.

    Attributes:
        wall_time, cpu_time: seconds.
        memory_bytes: beyond what is shared with the zygote, files included.
        output_bytes: of stdout and stderr together.
        process_count: processes and threads alive at once.
        open_file_count: open descriptors.
        file_bytes: of any single file written.
        workspace_bytes: of /workspace, and of /tmp.
    """

    wall_time: float | None = None
    cpu_time: float | None = None
    memory_bytes: int | None = None
    output_bytes: int | None = None
    process_count: int | None = None
    open_file_count: int | None = None
    file_bytes: int | None = None
    workspace_bytes: int | None = None

    def write(self, message: Any) -> None:
        """Sets the fields of a cloister.v1.Limits."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                continue
            if field.name in _DURATIONS:
                duration(value, getattr(message, field.name))
            else:
                setattr(message, field.name, value)


def limits_of(message: Any) -> Limits:
    """The Limits of a cloister.v1.Limits."""
    read = {}
    for field in fields(Limits):
        if message.HasField(field.name):
            value = getattr(message, field.name)
            read[field.name] = seconds(value) if field.name in _DURATIONS else value
    return Limits(**read)


def write_program(
    program: Any,
    code: Content,
    *,
    file_name: str = "",
    args: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    files: Mapping[str, Content] | None = None,
    stdin: Content = b"",
    return_files: Iterable[str] = (),
    variables: Mapping[str, Any] | None = None,
    value: bool = False,
) -> None:
    """Fills a cloister.v1.Program."""
    program.code = as_bytes(code)
    if file_name:
        program.file_name = file_name
    if args:
        program.args.extend(args)
    if environment:
        program.environment.update(environment)
    if files:
        write_files(program.files, files)
    if stdin:
        program.stdin = as_bytes(stdin)
    if return_files:
        program.return_files.extend(return_files)
    if variables:
        write_values(program.variables, variables, "variables")
    if value:
        program.return_value = True
        program.value_form = value_pb2.VALUE_FORM_TYPED


def write_call(call: Any, function: str, arguments: Iterable[Any], keywords: Mapping[str, Any]) -> None:
    """Fills a cloister.v1.FunctionCall."""
    call.function = function
    write_arguments(call.arguments, arguments)
    write_values(call.keyword_arguments, keywords, "keyword_arguments")


def write_arguments(into: Any, arguments: Iterable[Any]) -> None:
    for number, argument in enumerate(arguments):
        try:
            into.append(values.encode(argument))
        except values.CloneError as error:
            raise values.CloneError(f"arguments[{number}]{error.path[1:]}", error.problem) from None


def write_values(into: Any, named: Mapping[str, Any], field: str) -> None:
    for name, value in named.items():
        try:
            into[name].CopyFrom(values.encode(value))
        except values.CloneError as error:
            raise values.CloneError(f"{field}.{name}{error.path[1:]}", error.problem) from None


def write_files(into: Any, files: Mapping[str, Content]) -> None:
    for path, content in files.items():
        into.add(path=path, content=as_bytes(content))


def as_bytes(content: Content) -> bytes:
    if isinstance(content, str):
        return content.encode("utf-8", "surrogatepass")
    if isinstance(content, (bytes, bytearray, memoryview)):
        return bytes(content)
    raise TypeError(f"text or bytes are wanted, not {type(content).__name__}")


def limit_message(limits: Limits | None) -> pb.Limits | None:
    if limits is None:
        return None
    message = pb.Limits()
    limits.write(message)
    return message
