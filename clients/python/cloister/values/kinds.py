"""Writers for the standard library's types, and for classes of users by their kind."""

from __future__ import annotations

import array
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
from typing import Any, Iterator, Tuple

from ..v1 import value_pb2 as pb
from .encoder import FINDERS, WITH_IDENTITY, Encoder, Writer, in_place, refuse
from .errors import CloneError, RemoteError
from .path import Path, Step, describe
from .records import EnumRecord, Name, RawArray, Record, RegisteredRecord, TupleRecord

_K = pb.Object


def _plain(kind: int, *names: str) -> Writer:
    """A writer of objects that are their attributes."""

    def write(encoder: Encoder, value: Any, message: pb.Value, depth: int, path: Path) -> None:
        encoder.object(message, kind, path, *(getattr(value, name) for name in names))

    return in_place(write)


def _slice(encoder: Encoder, value: slice, message: pb.Value, depth: int, path: Path) -> None:
    made = encoder.object(message, _K.KIND_SLICE, path)
    encoder.put_all((value.start, value.stop, value.step), made.fields, depth, path)


def _text(kind: int, named: bool = False) -> Writer:
    """A writer of objects that are their `str()`, with the name of their class before it if `named`."""

    def write(encoder: Encoder, value: Any, message: pb.Value, depth: int, path: Path) -> None:
        encoder.object(message, kind, path, *([type(value).__name__] if named else []), str(value))

    return in_place(write)


@in_place
def _uuid(encoder: Encoder, value: uuid.UUID, message: pb.Value, depth: int, path: Path) -> None:
    encoder.object(message, _K.KIND_UUID, path, value.bytes, value.is_safe.value)


@in_place
def _moment(encoder: Encoder, value: Any, message: pb.Value, depth: int, path: Path) -> None:
    names: Tuple[str, ...] = ("hour", "minute", "second", "microsecond", "fold")
    kind = _K.KIND_TIME
    if type(value) is datetime.datetime:
        names, kind = ("year", "month", "day", *names), _K.KIND_DATETIME
    made = encoder.object(message, kind, path, *(getattr(value, name) for name in names))
    zone, way = value.tzinfo, (path, Step.ATTRIBUTE, "tzinfo")
    if type(zone) not in (type(None), datetime.timezone, zoneinfo.ZoneInfo):
        raise refuse(way, zone)
    encoder.put(zone, made.fields.add(), depth + 1, way)


@in_place
def _timezone(encoder: Encoder, value: datetime.timezone, message: pb.Value, depth: int, path: Path) -> None:
    arguments: Tuple[Any, ...] = value.__getinitargs__()  # type: ignore[attr-defined]
    encoder.object(message, _K.KIND_TIMEZONE, path, arguments[0], arguments[1] if len(arguments) > 1 else None)


@in_place
def _zone_info(encoder: Encoder, value: zoneinfo.ZoneInfo, message: pb.Value, depth: int, path: Path) -> None:
    if value.key is None:
        raise refuse(path, value, "it has no key")
    encoder.object(message, _K.KIND_ZONE_INFO, path, value.key)


@in_place
def _pattern(encoder: Encoder, value: re.Pattern[Any], message: pb.Value, depth: int, path: Path) -> None:
    if type(value.pattern) not in (str, bytes):
        raise refuse(path, value, f"it is of {type(value.pattern).__name__}")
    encoder.object(message, _K.KIND_PATTERN, path, value.pattern, value.flags)


def _deque(encoder: Encoder, value: Any, message: pb.Value, depth: int, path: Path) -> None:
    made = encoder.object(message, _K.KIND_DEQUE, path, value.maxlen)
    encoder.put_all(value, made.fields, depth, path)


def _put_entries(encoder: Encoder, value: Any, made: pb.Object, depth: int, path: Path) -> None:
    for number, (key, item) in enumerate(value.items()):
        encoder.put_key(key, made.fields.add(), depth + 1, (path, Step.KEY, number))
        encoder.put(item, made.fields.add(), depth + 1, (path, Step.ENTRY, key))


def _entries(kind: int) -> Writer:
    def write(encoder: Encoder, value: Any, message: pb.Value, depth: int, path: Path) -> None:
        _put_entries(encoder, value, encoder.object(message, kind, path), depth, path)

    return write


def _default_dict(encoder: Encoder, value: Any, message: pb.Value, depth: int, path: Path) -> None:
    made = encoder.object(message, _K.KIND_DEFAULT_DICT, path)
    encoder.put(value.default_factory, made.fields.add(), depth + 1, (path, Step.ATTRIBUTE, "default_factory"))
    _put_entries(encoder, value, made, depth, path)


def _namespace(encoder: Encoder, value: Any, message: pb.Value, depth: int, path: Path) -> None:
    made = encoder.object(message, _K.KIND_NAMESPACE, path)
    encoder.put_attributes(vars(value).items(), made.fields, depth, path)


def put_buffer(encoder: Encoder, content: bytes, made: pb.Object, path: Path) -> None:
    encoder.count(1, path)
    encoder.count_bytes(len(content), path)
    made.fields.add().buffer_value = content


def _array(encoder: Encoder, value: array.array[Any], message: pb.Value, depth: int, path: Path) -> None:
    made = encoder.object(message, _K.KIND_ARRAY, path, value.typecode, value.itemsize)
    put_buffer(encoder, value.tobytes(), made, path)


def _memoryview(encoder: Encoder, value: memoryview, message: pb.Value, depth: int, path: Path) -> None:
    made = encoder.object(message, _K.KIND_MEMORYVIEW, path, value.format, value.itemsize, value.readonly)
    put_buffer(encoder, value.tobytes(), made, path)
    encoder.put_all(value.shape or (), made.fields, depth, path)


def _raw_array(encoder: Encoder, value: RawArray, message: pb.Value, depth: int, path: Path) -> None:
    made = encoder.object(message, _K.KIND_NDARRAY, path)
    encoder.put(value.dtype, made.fields.add(), depth + 1, path)
    encoder.put(bool(value.fortran_order), made.fields.add(), depth + 1, path)
    put_buffer(encoder, bytes(value.data), made, path)
    encoder.put_all(map(int, value.shape), made.fields, depth, path)


@in_place
def _global(encoder: Encoder, value: Any, message: pb.Value, depth: int, path: Path) -> None:
    """A class or function by its name."""
    name = name_of(value)
    if "<locals>" in name.qualified_name or "<lambda>" in name.qualified_name:
        raise CloneError(describe(path), f"{name.module}.{name.qualified_name} cannot be imported by its name")
    encoder.object(message, _K.KIND_GLOBAL, path, name.module, name.qualified_name)


def name_of(value: Any) -> Name:
    return value if type(value) is Name else Name(str(value.__module__), str(value.__qualname__))


def put_class(encoder: Encoder, class_: Any, made: pb.Object, path: Path) -> None:
    encoder.count(1, path)
    _global(encoder, name_of(class_), made.fields.add(), 1, (path, Step.ATTRIBUTE, "__class__"))


def stored_fields(value: Any) -> Iterator[Tuple[str, Any]]:
    """What an instance has: its slots and its dict, read without its class's code."""
    for class_ in reversed(type(value).__mro__):
        for name, member in list(vars(class_).items()):
            if type(member) is types.MemberDescriptorType:
                try:
                    yield name, member.__get__(value, type(value))
                except AttributeError:  # never assigned
                    pass
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return
    yield from list(attributes.items())


def _dataclass(encoder: Encoder, value: Any, message: pb.Value, depth: int, path: Path) -> None:
    made = encoder.object(message, _K.KIND_DATACLASS, path)
    put_class(encoder, type(value), made, path)
    encoder.put_attributes(stored_fields(value), made.fields, depth, path)


def _named_tuple(encoder: Encoder, value: Any, message: pb.Value, depth: int, path: Path) -> None:
    made = encoder.object(message, _K.KIND_NAMED_TUPLE, path)
    put_class(encoder, type(value), made, path)
    encoder.put_all(tuple.__iter__(value), made.fields, depth, path)


@in_place
def _enum_member(encoder: Encoder, value: Any, message: pb.Value, depth: int, path: Path) -> None:
    name = value._name_
    if name is None or value not in (type(value)._member_map_.get(name),):
        name = value._value_
    made = encoder.object(message, _K.KIND_ENUM_MEMBER, path)
    put_class(encoder, type(value), made, path)
    encoder.put(name, made.fields.add(), depth + 1, path)


def _exception(encoder: Encoder, value: BaseException, message: pb.Value, depth: int, path: Path) -> None:
    """Its class and arguments. Frames, attributes and causes of a client's exception are nobody's business inside."""
    class_ = type(value)
    if class_.__module__ == "builtins":
        made = encoder.object(message, _K.KIND_EXCEPTION, path)
        put_class(encoder, class_, made, path)
        encoder.put(value.args, made.fields.add(), depth + 1, (path, Step.ATTRIBUTE, "args"))
    else:
        made = encoder.object(message, _K.KIND_REMOTE_ERROR, path)
        name = (class_.__module__, class_.__qualname__)
        if isinstance(value, RemoteError):
            name = (value.module, value.type_name)
        for texts in (name, tuple(text_of(argument) for argument in value.args)):
            field = made.fields.add()
            field.tuple_value.SetInParent()
            for text in texts:
                encoder.put(text, field.tuple_value.items.add(), depth + 1, path)
    notes = getattr(value, "__notes__", None)
    encoder.put(None, made.fields.add(), depth + 1, path)
    encoder.put(list(map(str, notes)) if isinstance(notes, list) else None, made.fields.add(), depth + 1, path)
    for plain in (None, None, False):
        encoder.put(plain, made.fields.add(), depth + 1, path)
    made.fields.add().list_value.SetInParent()


def text_of(argument: Any) -> str:
    """As an argument of a RemoteError; shorter than what is sent once for all."""
    try:
        return str(argument)[:250]
    except Exception:
        return f"<unprintable {type(argument).__name__} object>"


def _record(encoder: Encoder, value: Record, message: pb.Value, depth: int, path: Path) -> None:
    made = encoder.object(message, _K.KIND_DATACLASS, path)
    put_class(encoder, value.class_name, made, path)
    encoder.put_attributes(value.fields.items(), made.fields, depth, path)


def _tuple_record(encoder: Encoder, value: TupleRecord, message: pb.Value, depth: int, path: Path) -> None:
    made = encoder.object(message, _K.KIND_NAMED_TUPLE, path)
    put_class(encoder, value.class_name, made, path)
    encoder.put_all(value, made.fields, depth, path)


@in_place
def _enum_record(encoder: Encoder, value: EnumRecord, message: pb.Value, depth: int, path: Path) -> None:
    made = encoder.object(message, _K.KIND_ENUM_MEMBER, path)
    put_class(encoder, value.class_name, made, path)
    encoder.put(value.member, made.fields.add(), depth + 1, path)


def _registered_record(encoder: Encoder, value: RegisteredRecord, message: pb.Value, depth: int, path: Path) -> None:
    made = encoder.object(message, _K.KIND_REGISTERED, path)
    put_class(encoder, value.class_name, made, path)
    encoder.put(value.state, made.fields.add(), depth + 1, (path, Step.ATTRIBUTE, "state"))


def _find_by_class(value: Any, kind: type) -> Writer | None:
    if isinstance(value, enum.Enum):
        return _enum_member
    if dataclasses.is_dataclass(kind):
        return _dataclass
    if isinstance(value, tuple) and isinstance(getattr(kind, "_fields", None), tuple):
        return _named_tuple
    if isinstance(value, BaseException):
        return _exception
    if isinstance(value, type):
        return _global
    return None


WITH_IDENTITY.update({
    range: _plain(_K.KIND_RANGE, "start", "stop", "step"),
    slice: _slice,
    collections.deque: _deque,
    collections.OrderedDict: _entries(_K.KIND_ORDERED_DICT),
    collections.Counter: _entries(_K.KIND_COUNTER),
    collections.defaultdict: _default_dict,
    types.SimpleNamespace: _namespace,
    array.array: _array,
    memoryview: _memoryview,
    datetime.date: _plain(_K.KIND_DATE, "year", "month", "day"),
    datetime.time: _moment,
    datetime.datetime: _moment,
    datetime.timedelta: _plain(_K.KIND_TIMEDELTA, "days", "seconds", "microseconds"),
    datetime.timezone: _timezone,
    zoneinfo.ZoneInfo: _zone_info,
    decimal.Decimal: _text(_K.KIND_DECIMAL),
    fractions.Fraction: _plain(_K.KIND_FRACTION, "numerator", "denominator"),
    uuid.UUID: _uuid,
    re.Pattern: _pattern,
    type: _global,
    enum.EnumMeta: _global,
    types.FunctionType: _global,
    types.BuiltinFunctionType: _global,
    Name: _global,
    Record: _record,
    TupleRecord: _tuple_record,
    EnumRecord: _enum_record,
    RegisteredRecord: _registered_record,
    RawArray: _raw_array,
})
for _class in (pathlib.PurePosixPath, pathlib.PosixPath, pathlib.PureWindowsPath):
    WITH_IDENTITY[_class] = _text(_K.KIND_PATH, named=True)
for _name in ("Address", "Network", "Interface"):
    for _version in ("IPv4", "IPv6"):
        WITH_IDENTITY[getattr(ipaddress, _version + _name)] = _text(_K.KIND_IP, named=True)
FINDERS.append(_find_by_class)
