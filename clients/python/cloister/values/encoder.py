"""Objects as `cloister.v1.Value`: what is sent to code in a sandbox.

Every object within the outermost that has an identity becomes an entry of `shared`, and a reference wherever it occurs. So
identity and cycles are kept, nothing is walked twice, and the walk needs no recursion: what is still to be written waits in
a list. The outermost is an entry itself only where something in it refers to it, which shows on the way; then it is all
written anew.

Exact types only, as proto/CLONE.md has them; what an instance of a subclass means, only its class knows. No method of a
user's class is called: the fields of dataclasses are read from their dicts and slots.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Tuple

from ..v1 import value_pb2 as pb
from .errors import CloneError
from .path import Path, Step, describe

MAXIMUM_VALUES = 200_000
MAXIMUM_BYTES = 16 << 20
MAXIMUM_DEPTH = 1000

_SMALL_INTS = range(-(1 << 63), 1 << 63)
# Texts and bytes from here on are sent once, however often they occur.
_LONG = 256

# In place of a number in `shared`.
_ROOT = -1

# Writes an object into a message: (encoder, object, message, depth, way to the object).
Writer = Callable[["Encoder", Any, pb.Value, int, Path], None]


def encode(value: Any) -> pb.Value:
    """The message of an object. Raises CloneError with the way to what cannot be sent."""
    try:
        return Encoder().encode(value, root_is_shared=False)
    except _RootIsShared:
        return Encoder().encode(value, root_is_shared=True)


class _RootIsShared(Exception):
    """Something refers to the outermost object."""


class Encoder:
    """Makes one Value. Not thread-safe; used once."""

    def __init__(self) -> None:
        self.root = pb.Value()
        self._indices: Dict[int, int] = {}
        # The keys above are addresses, so what is at them stays.
        self._kept: List[Any] = []
        self._waiting: List[Tuple[Writer, Any, pb.Value, int, Path]] = []
        self._values = 0
        self._bytes = 0

    def encode(self, value: Any, root_is_shared: bool) -> pb.Value:
        kind = type(value)
        if root_is_shared or kind in PLAIN:
            self.put(value, self.root, 1, None)
        else:
            write = WITH_IDENTITY.get(kind) or find_writer(value, kind, None)
            self._indices[id(value)] = _ROOT
            self.count(1, None)
            write(self, value, self.root, 1, None)
        while self._waiting:
            write, object_, message, depth, path = self._waiting.pop()
            write(self, object_, message, depth, path)
        return self.root

    def put(self, value: Any, message: pb.Value, depth: int, path: Path) -> None:
        """Writes `value` into `message`: at once if it is plain, else a reference to what is written later."""
        if depth > MAXIMUM_DEPTH:
            raise CloneError(describe(path), f"nested deeper than {MAXIMUM_DEPTH}")
        kind = type(value)
        plain = PLAIN.get(kind)
        if plain is not None:
            self.count(1, path)
            plain(self, value, message, depth, path)
            return
        index = self._indices.get(id(value))
        if index is None:
            write = WITH_IDENTITY.get(kind) or find_writer(value, kind, path)
            if write in _IN_PLACE:
                self.count(1, path)
                write(self, value, message, depth, path)
                return
            index = self.share(write, value, depth, path)
        elif index == _ROOT:
            raise _RootIsShared
        message.reference = index
        self.count(1, path)

    def share(self, write: Writer, value: Any, depth: int, path: Path) -> int:
        """The number of `value` in `shared`, where `write` will write it."""
        index = len(self.root.shared)
        self._indices[id(value)] = index
        self._kept.append(value)
        self._waiting.append((write, value, self.root.shared.add(), depth, path))
        return index

    def count(self, values: int, path: Path) -> None:
        self._values += values
        if self._values > MAXIMUM_VALUES:
            raise CloneError(describe(path), f"more than {MAXIMUM_VALUES} values")

    def count_bytes(self, length: int, path: Path) -> None:
        self._bytes += length
        if self._bytes > MAXIMUM_BYTES:
            raise CloneError(describe(path), f"clone is larger than {MAXIMUM_BYTES} bytes")

    def put_key(self, key: Any, message: pb.Value, depth: int, path: Path) -> None:
        """Writes a key or an item of a set. Some are hashable here and not in a clone."""
        if type(key) in (slice, memoryview) or isinstance(key, BaseException):
            raise refuse(path, key, "not as a key or an item of a set")
        self.put(key, message, depth, path)

    def put_all(self, values: Iterable[Any], into: Any, depth: int, path: Path) -> None:
        """Writes each of `values` into a new message of the repeated field `into`."""
        for number, value in enumerate(values):
            self.put(value, into.add(), depth + 1, (path, Step.ITEM, number))

    def put_attributes(self, attributes: Iterable[Tuple[str, Any]], into: Any, depth: int, path: Path) -> None:
        for name, value in attributes:
            self.put(name, into.add(), depth + 1, path)
            self.put(value, into.add(), depth + 1, (path, Step.ATTRIBUTE, name))

    def object(self, message: pb.Value, kind: int, path: Path, *fields: Any) -> pb.Object:
        """Begins an Object, with plain values as its first fields."""
        made: pb.Object = message.object_value
        made.kind = kind  # type: ignore[assignment]
        for field in fields:
            self.put(field, made.fields.add(), 1, path)
        return made


def refuse(path: Path, value: Any, why: str = "") -> CloneError:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return CloneError(describe(path), f"{name} cannot be cloned" + (f": {why}" if why else ""))


def _none(encoder: Encoder, value: Any, message: pb.Value, depth: int, path: Path) -> None:
    message.singleton = pb.SINGLETON_NONE


def _ellipsis(encoder: Encoder, value: Any, message: pb.Value, depth: int, path: Path) -> None:
    message.singleton = pb.SINGLETON_ELLIPSIS


def _not_implemented(encoder: Encoder, value: Any, message: pb.Value, depth: int, path: Path) -> None:
    message.singleton = pb.SINGLETON_NOT_IMPLEMENTED


def _bool(encoder: Encoder, value: bool, message: pb.Value, depth: int, path: Path) -> None:
    message.bool_value = value


def _int(encoder: Encoder, value: int, message: pb.Value, depth: int, path: Path) -> None:
    if value in _SMALL_INTS:
        message.int_value = value
        return
    length = value.bit_length() // 8 + 1
    encoder.count_bytes(length, path)
    message.big_int_value = value.to_bytes(length, "little", signed=True)


def _float(encoder: Encoder, value: float, message: pb.Value, depth: int, path: Path) -> None:
    message.float_value = value


def _complex(encoder: Encoder, value: complex, message: pb.Value, depth: int, path: Path) -> None:
    message.complex_value.real = value.real
    message.complex_value.imaginary = value.imag


def _str(encoder: Encoder, value: str, message: pb.Value, depth: int, path: Path) -> None:
    if len(value) >= _LONG and message is not encoder.root:
        _share_long(encoder, _write_str, value, message, depth, path)
    else:
        _write_str(encoder, value, message, depth, path)


def _write_str(encoder: Encoder, value: str, message: pb.Value, depth: int, path: Path) -> None:
    encoder.count_bytes(len(value), path)
    try:
        message.string_value = value
    except (ValueError, UnicodeEncodeError):  # lone surrogates
        message.surrogate_string_value = value.encode("utf-8", "surrogatepass")


def _bytes(encoder: Encoder, value: bytes, message: pb.Value, depth: int, path: Path) -> None:
    if len(value) >= _LONG and message is not encoder.root:
        _share_long(encoder, _write_bytes, value, message, depth, path)
    else:
        _write_bytes(encoder, value, message, depth, path)


def _write_bytes(encoder: Encoder, value: bytes, message: pb.Value, depth: int, path: Path) -> None:
    encoder.count_bytes(len(value), path)
    message.bytes_value = value


def _share_long(encoder: Encoder, write: Writer, value: Any, message: pb.Value, depth: int, path: Path) -> None:
    index = encoder._indices.get(id(value))
    message.reference = encoder.share(write, value, depth, path) if index is None else index


def _bytearray(encoder: Encoder, value: bytearray, message: pb.Value, depth: int, path: Path) -> None:
    encoder.count_bytes(len(value), path)
    message.bytearray_value = bytes(value)


def _tuple(encoder: Encoder, value: tuple[Any, ...], message: pb.Value, depth: int, path: Path) -> None:
    message.tuple_value.SetInParent()
    encoder.put_all(value, message.tuple_value.items, depth, path)


def _list(encoder: Encoder, value: list[Any], message: pb.Value, depth: int, path: Path) -> None:
    message.list_value.SetInParent()
    encoder.put_all(value, message.list_value.items, depth, path)


def _set(encoder: Encoder, value: set[Any], message: pb.Value, depth: int, path: Path) -> None:
    message.set_value.SetInParent()
    _put_members(encoder, value, message.set_value.items, depth, path)


def _frozenset(encoder: Encoder, value: frozenset[Any], message: pb.Value, depth: int, path: Path) -> None:
    message.frozenset_value.SetInParent()
    _put_members(encoder, value, message.frozenset_value.items, depth, path)


def _put_members(encoder: Encoder, value: Iterable[Any], into: Any, depth: int, path: Path) -> None:
    for number, member in enumerate(value):
        encoder.put_key(member, into.add(), depth + 1, (path, Step.MEMBER, number))


def _dict(encoder: Encoder, value: dict[Any, Any], message: pb.Value, depth: int, path: Path) -> None:
    entries = message.dict_value
    entries.SetInParent()
    for number, (key, item) in enumerate(value.items()):
        encoder.put_key(key, entries.keys.add(), depth + 1, (path, Step.KEY, number))
        encoder.put(item, entries.values.add(), depth + 1, (path, Step.ENTRY, key))


# Types without an identity worth keeping.
PLAIN: Dict[type, Writer] = {
    type(None): _none,
    type(Ellipsis): _ellipsis,
    type(NotImplemented): _not_implemented,
    bool: _bool,
    int: _int,
    float: _float,
    complex: _complex,
    str: _str,
    bytes: _bytes,
}

# Those with one. The modules of `kinds` add theirs.
WITH_IDENTITY: Dict[type, Writer] = {
    bytearray: _bytearray,
    tuple: _tuple,
    list: _list,
    set: _set,
    frozenset: _frozenset,
    dict: _dict,
}

# Asked, in order, for what is in neither table: a Writer, or None.
FINDERS: List[Callable[[Any, type], Writer | None]] = []

# Writers that write where the object occurs, because nobody looks at the identity of such objects.
_IN_PLACE: set[Writer] = set()


def in_place(write: Writer) -> Writer:
    """Marks a writer of immutable objects without parts: they are repeated where they occur again."""
    _IN_PLACE.add(write)
    return write


def find_writer(value: Any, kind: type, path: Path) -> Writer:
    for find in FINDERS:
        write = find(value, kind)
        if write is not None:
            return write
    raise refuse(path, value)
