"""Readers of Objects: the standard library's types, and records of users' classes."""

from __future__ import annotations

import array
import builtins
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import ipaddress
import pathlib
import re
import types
import uuid
import zoneinfo
from typing import Any, Callable, Dict, List, Sequence, Tuple

from ..v1 import value_pb2 as pb
from .arrays import make_array
from .decoder import READERS, Decoder, Reader
from .errors import CloneError, RemoteError
from .records import EnumRecord, Name, Record, RegisteredRecord, TupleRecord

_K = pb.Object
_Fields = Sequence[pb.Value]

# Of an expression that a sandbox sent; compiling long ones takes long.
_LONGEST_PATTERN = 1_000
# Of both numbers of a fraction: making one divides them by what they have in common.
_LONGEST_FRACTION_BITS = 50_000
_FACTORIES: Dict[str, Any] = {
    kind.__name__: kind for kind in (bool, bytes, complex, dict, float, frozenset, int, list, set, str, tuple)
}
_PATHS: Dict[str, type] = {kind.__name__: kind for kind in (pathlib.PurePosixPath, pathlib.PureWindowsPath)}
_PATHS["PosixPath"] = pathlib.PosixPath if pathlib.Path is not getattr(pathlib, "WindowsPath", None) and isinstance(
    pathlib.Path(), pathlib.PosixPath) else pathlib.PurePosixPath
_IPS = {f"{version}{name}": getattr(ipaddress, f"{version}{name}")
        for version in ("IPv4", "IPv6") for name in ("Address", "Network", "Interface")}


def _reader(kind: int) -> Callable[[Reader], Reader]:
    def add(read: Reader) -> Reader:
        READERS[kind] = read
        return read

    return add


def _made_by(kind: int, make: Callable[..., Any]) -> None:
    """Objects that a function of the standard library makes of their fields."""
    READERS[kind] = lambda decoder, fields, entry: make(*decoder.all(fields))


def _time(hour: int, minute: int, second: int, microsecond: int, fold: int, zone: Any) -> datetime.time:
    return datetime.time(hour, minute, second, microsecond, zone, fold=fold)


def _datetime(year: int, month: int, day: int, hour: int, minute: int, second: int, microsecond: int, fold: int,
              zone: Any) -> datetime.datetime:
    return datetime.datetime(year, month, day, hour, minute, second, microsecond, zone, fold=fold)


def _timezone(offset: datetime.timedelta, name: Any) -> datetime.timezone:
    return datetime.timezone(offset) if name is None else datetime.timezone(offset, name)


def _zone_info(key: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(key)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise CloneError("$", f"this machine knows no time zone {key[:100]!r}") from None


def _decimal(text: str) -> decimal.Decimal:
    return decimal.Decimal(text)


def _fraction(numerator: int, denominator: int) -> fractions.Fraction:
    if numerator.bit_length() + denominator.bit_length() > _LONGEST_FRACTION_BITS:
        raise CloneError("$", f"a fraction of more than {_LONGEST_FRACTION_BITS} bits")
    return fractions.Fraction(numerator, denominator)


def _uuid(content: bytes, safety: Any) -> uuid.UUID:
    return uuid.UUID(bytes=content, is_safe=uuid.SafeUUID(safety))


def _pattern(pattern: Any, flags: int) -> Any:
    if len(pattern) > _LONGEST_PATTERN:
        raise CloneError("$", f"a regular expression of more than {_LONGEST_PATTERN} characters is not compiled here")
    try:
        return re.compile(pattern, flags & ~re.DEBUG)
    except (re.error, RecursionError, OverflowError):
        raise CloneError("$", "a regular expression that this Python does not take") from None


_made_by(_K.KIND_RANGE, range)
_made_by(_K.KIND_SLICE, slice)
_made_by(_K.KIND_DATE, datetime.date)
_made_by(_K.KIND_TIME, _time)
_made_by(_K.KIND_DATETIME, _datetime)
_made_by(_K.KIND_TIMEDELTA, datetime.timedelta)
_made_by(_K.KIND_TIMEZONE, _timezone)
_made_by(_K.KIND_ZONE_INFO, _zone_info)
_made_by(_K.KIND_DECIMAL, _decimal)
_made_by(_K.KIND_FRACTION, _fraction)
_made_by(_K.KIND_UUID, _uuid)
_made_by(_K.KIND_PATH, lambda name, text: _PATHS[name](text))
_made_by(_K.KIND_IP, lambda name, text: _IPS[name](text))
_made_by(_K.KIND_PATTERN, _pattern)


def _pairs(fields: _Fields) -> Any:
    return zip(fields[0::2], fields[1::2])


def _mapping(make: Callable[[], Any]) -> Reader:
    def read(decoder: Decoder, fields: _Fields, entry: int) -> Any:
        made = decoder.exists(entry, make())
        decoder.later(lambda: decoder.fill(made, _pairs(fields), len(fields) // 2))
        return made

    return read


READERS[_K.KIND_ORDERED_DICT] = _mapping(collections.OrderedDict)
READERS[_K.KIND_COUNTER] = _mapping(collections.Counter)


@_reader(_K.KIND_DEQUE)
def _deque(decoder: Decoder, fields: _Fields, entry: int) -> Any:
    made: Any = decoder.exists(entry, collections.deque(maxlen=decoder.read(fields[0])))
    decoder.later(lambda: made.extend(decoder.all(fields[1:])))
    return made


@_reader(_K.KIND_DEFAULT_DICT)
def _default_dict(decoder: Decoder, fields: _Fields, entry: int) -> Any:
    made: Any = decoder.exists(entry, collections.defaultdict(decoder.read(fields[0])))
    decoder.later(lambda: decoder.fill(made, _pairs(fields[1:]), len(fields) // 2))
    return made


@_reader(_K.KIND_NAMESPACE)
def _namespace(decoder: Decoder, fields: _Fields, entry: int) -> Any:
    made = decoder.exists(entry, types.SimpleNamespace())
    decoder.later(lambda: made.__dict__.update(_attributes(decoder, fields)))
    return made


@_reader(_K.KIND_ARRAY)
def _array(decoder: Decoder, fields: _Fields, entry: int) -> Any:
    typecode, item_size, content = decoder.all(fields)
    made: Any = array.array(typecode)
    if made.itemsize != item_size:
        raise CloneError("$", f"this machine's {typecode!r} of an array has {made.itemsize} bytes, not {item_size}")
    made.frombytes(content)
    return made


@_reader(_K.KIND_MEMORYVIEW)
def _memoryview(decoder: Decoder, fields: _Fields, entry: int) -> Any:
    format_, item_size, read_only, content, *shape = decoder.all(fields)
    view = memoryview(content if read_only else bytearray(content))
    if format_ == "B" and shape == [len(content)]:
        return view
    if not content:
        return view if 0 in shape else view.cast(format_)
    view = view.cast(format_, shape) if format_ != "B" or shape else view
    if view.itemsize != item_size:
        raise CloneError("$", f"this machine's {format_!r} has {view.itemsize} bytes, not {item_size}")
    return view


@_reader(_K.KIND_NDARRAY)
def _ndarray(decoder: Decoder, fields: _Fields, entry: int) -> Any:
    description, in_fortran_order, content, *shape = (_now(decoder, field) for field in fields)
    return make_array(description, in_fortran_order, content, shape)


def _now(decoder: Decoder, message: pb.Value, depth: int = 0) -> Any:
    """A field of plain values in lists and tuples, whole at once."""
    if depth > 50:
        raise CloneError("$", "what describes an array or a frame is nested too deep")
    kind = message.WhichOneof("kind")
    if kind == "list_value":
        return [_now(decoder, item, depth + 1) for item in message.list_value.items]
    if kind == "tuple_value":
        return tuple(_now(decoder, item, depth + 1) for item in message.tuple_value.items)
    if kind == "reference":
        return _now(decoder, decoder.shared(message.reference), depth + 1)
    return decoder.read(message)


@_reader(_K.KIND_GLOBAL)
def _global(decoder: Decoder, fields: _Fields, entry: int) -> Any:
    module, name = decoder.all(fields)
    if module == "builtins" and name in _FACTORIES:
        return _FACTORIES[name]
    return decoder.classes.get((module, name)) or Name(module, name)


def _name(class_: Any) -> Name:
    return class_ if type(class_) is Name else Name(class_.__module__, class_.__qualname__)


def _attributes(decoder: Decoder, fields: _Fields) -> Dict[str, Any]:
    read = {str(decoder.read(name)): decoder.read(value) for name, value in _pairs(fields)}
    for name in read:
        # Protocols look such names up: numpy reads and writes memory at the address in an __array_interface__.
        if name.startswith("__"):
            raise CloneError("$", f"an attribute may not be called {name[:100]!r}")
    return read


@_reader(_K.KIND_ENUM_MEMBER)
def _enum_member(decoder: Decoder, fields: _Fields, entry: int) -> Any:
    class_, member = decoder.all(fields)
    if not (isinstance(class_, type) and issubclass(class_, enum.Enum)):
        return EnumRecord(_name(class_), member)
    if type(member) is str:
        return class_.__members__[member]
    if issubclass(class_, enum.Flag):
        return class_(member)
    raise CloneError("$", f"{class_.__qualname__} has no such member")


@_reader(_K.KIND_DATACLASS)
def _dataclass(decoder: Decoder, fields: _Fields, entry: int) -> Any:
    class_ = decoder.read(fields[0])
    if not (isinstance(class_, type) and dataclasses.is_dataclass(class_)):
        record = decoder.exists(entry, Record(_name(class_), {}))
        decoder.later(lambda: record.fields.update(_attributes(decoder, fields[1:])))
        return record
    made: Any = decoder.exists(entry, object.__new__(class_))
    known = {field.name for field in dataclasses.fields(class_)}

    def fill() -> None:
        for name, value in _attributes(decoder, fields[1:]).items():
            if name not in known:
                raise CloneError("$", f"{class_.__qualname__} has no field {name[:100]!r}")
            object.__setattr__(made, name, value)

    decoder.later(fill)
    return made


@_reader(_K.KIND_NAMED_TUPLE)
def _named_tuple(decoder: Decoder, fields: _Fields, entry: int) -> Any:
    class_, *items = decoder.all(fields)
    if isinstance(class_, type) and issubclass(class_, tuple) and len(getattr(class_, "_fields", ())) == len(items):
        return tuple.__new__(class_, items)
    return TupleRecord.make(_name(class_), iter(items))


@_reader(_K.KIND_REGISTERED)
def _registered(decoder: Decoder, fields: _Fields, entry: int) -> Any:
    made = decoder.exists(entry, RegisteredRecord(_name(decoder.read(fields[0]))))

    def fill() -> None:
        made.state = decoder.read(fields[1])

    decoder.later(fill)
    return made


def _builtin_exception(name: Name) -> type[Exception] | None:
    found = getattr(builtins, name.qualified_name, None) if name.module == "builtins" else None
    return found if isinstance(found, type) and issubclass(found, Exception) else None


@_reader(_K.KIND_EXCEPTION)
def _exception(decoder: Decoder, fields: _Fields, entry: int) -> Any:
    class_, arguments = decoder.read(fields[0]), decoder.read(fields[1])
    name = _name(class_)
    made: Any = None
    if isinstance(class_, type) and issubclass(class_, Exception):
        # The user's class: its arguments, without its __init__.
        made = class_.__new__(class_) if class_.__new__ is BaseException.__new__ else None
        if made is not None:
            made.args = arguments
    elif _builtin_exception(name) is not None:
        try:
            made = _builtin_exception(name)(*arguments)  # type: ignore[misc]
        except (TypeError, ValueError):  # arguments it does not take
            pass
    if made is None:
        made = RemoteError(*arguments, module=name.module, type_name=name.qualified_name)
    return _finish_exception(decoder, decoder.exists(entry, made), fields)


@_reader(_K.KIND_REMOTE_ERROR)
def _remote_error(decoder: Decoder, fields: _Fields, entry: int) -> Any:
    module, type_name = decoder.read(fields[0])
    made = RemoteError(*decoder.read(fields[1]), module=module, type_name=type_name)
    return _finish_exception(decoder, decoder.exists(entry, made), fields)


def _finish_exception(decoder: Decoder, made: BaseException, fields: _Fields) -> BaseException:
    def fill() -> None:
        notes = decoder.read(fields[3])
        if notes is not None:
            decoder.later(lambda: made.__dict__.__setitem__("__notes__", [str(note) for note in notes]))
        made.__cause__ = decoder.read(fields[4])
        made.__context__ = decoder.read(fields[5])
        made.__suppress_context__ = decoder.read(fields[6])
        frames: List[Tuple[str, int, str]] = [_now(decoder, frame) for frame in fields[7].list_value.items]
        made.__dict__["__remote_frames__"] = frames

    decoder.later(fill)
    return made
