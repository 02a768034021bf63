"""Objects from `cloister.v1.Value`: what code in a sandbox sent. It is hostile: nothing of its choosing runs here.

- No module is imported and no class looked up for it. Classes are those that the user gave, and builtin exceptions.
- No `__init__`, `__setattr__` or `__reduce__` runs: dataclasses are allocated and their fields stored.
- What it costs is bounded by what the server lets through (20,000 values and 16 MiB), and checked here again.

Containers exist before what is in them is read, which is how cycles are made; what has to be whole at once (tuples,
frozensets, keys) is read at once. `shared` is read from its end: in the order in which the server writes it, what lies
deeper comes later, and so no reading goes deeper than the message is nested.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Mapping, Sequence, Tuple

from ..v1 import value_pb2 as pb
from .errors import CloneError

MAXIMUM_VALUES = 200_000
# Of Values in one another that have to be read at once.
_MAXIMUM_NESTING = 150

_SINGLETONS = {
    pb.SINGLETON_NONE: None,
    pb.SINGLETON_ELLIPSIS: Ellipsis,
    pb.SINGLETON_NOT_IMPLEMENTED: NotImplemented,
}
_UNREAD: Any = object()
_READING: Any = object()

# Reads an Object: (decoder, its fields, its number in `shared` or -1).
Reader = Callable[["Decoder", Sequence[pb.Value], int], Any]
READERS: Dict[int, Reader] = {}


class Decoder:
    """Reads one Value. Not thread-safe; used once.

    Args:
        classes: by module and qualified name, the classes of which instances are made.
    """

    def __init__(self, root: pb.Value, classes: Mapping[Tuple[str, str], type]) -> None:
        self.classes = classes
        self._root = root
        self._shared: List[Any] = [_UNREAD] * len(root.shared)
        self._waiting: List[Callable[[], object]] = []
        self._values = 0
        self._nesting = 0
        # Which entry of `shared` is being read, so that a container can say that it exists.
        self._entry = -1

    def decode(self) -> Any:
        """The object. CloneError where there is none to be made of it."""
        try:
            for index in reversed(range(len(self._shared))):
                if self._shared[index] is _UNREAD:
                    self._read_shared(index)
            value = self.read(self._root)
            while self._waiting:
                self._waiting.pop()()
            return value
        except CloneError:
            raise
        except MemoryError:
            raise CloneError("$", "it takes more memory than there is") from None
        except RecursionError:
            raise CloneError("$", "nested deeper than this thread's stack allows") from None
        except (ValueError, TypeError, OverflowError, ArithmeticError, LookupError, AttributeError) as error:
            raise CloneError("$", f"what the sandbox sent is not a value: {error}") from error

    def read(self, message: pb.Value) -> Any:
        kind = message.WhichOneof("kind")
        self._count()
        read = _PLAIN.get(kind)
        if read is not None:
            return read(message)
        if kind == "reference":
            return self._refer(message.reference)
        # Whatever is read within this value is no entry of its own.
        entry, self._entry = self._entry, -1
        self._nesting += 1
        if self._nesting > _MAXIMUM_NESTING:
            raise CloneError("$", f"more than {_MAXIMUM_NESTING} tuples or the like in one another")
        try:
            return self._read_parts(kind, message, entry)
        finally:
            self._nesting -= 1

    def all(self, messages: Iterable[pb.Value]) -> Iterable[Any]:
        return map(self.read, messages)

    def later(self, fill: Callable[[], object]) -> None:
        """What fills a container that exists already."""
        self._waiting.append(fill)

    def exists(self, entry: int, value: Any) -> Any:
        """Says of entry `entry` of `shared`, if it is one, that it can be referred to from now on."""
        if entry >= 0:
            self._shared[entry] = value
        return value

    def shared(self, index: int) -> pb.Value:
        """The message of an entry of `shared`."""
        self._count()
        if index >= len(self._shared):
            raise CloneError("$", "refers to a value that is not there")
        message: pb.Value = self._root.shared[index]
        return message

    def _count(self) -> None:
        self._values += 1
        if self._values > MAXIMUM_VALUES:
            raise CloneError("$", f"more than {MAXIMUM_VALUES} values")

    def _refer(self, index: int) -> Any:
        if index >= len(self._shared):
            raise CloneError("$", "refers to a value that is not there")
        value = self._shared[index]
        if value is _READING:
            raise CloneError("$", "a tuple or the like lies in itself")
        return self._read_shared(index) if value is _UNREAD else value

    def _read_shared(self, index: int) -> Any:
        message = self._root.shared[index]
        if message.WhichOneof("kind") == "reference":
            raise CloneError("$", "a shared value is a reference")
        self._shared[index] = _READING
        self._entry = index
        value = self.read(message)
        self._entry = -1
        self._shared[index] = value
        return value

    def _read_parts(self, kind: str | None, message: pb.Value, entry: int) -> Any:
        if kind == "list_value":
            list_: List[Any] = []
            items = message.list_value.items
            self.later(lambda: list_.extend(self.all(items)))
            return list_
        if kind == "dict_value":
            dict_: Dict[Any, Any] = {}
            entries = message.dict_value
            self.later(lambda: self.fill(dict_, zip(entries.keys, entries.values), len(entries.keys)))
            return dict_
        if kind == "tuple_value":
            return tuple(self.all(message.tuple_value.items))
        if kind == "set_value":
            set_: set[Any] = set()
            members = message.set_value.items
            self.later(lambda: self._fill_set(set_, members))
            return set_
        if kind == "frozenset_value":
            return frozenset(self._hashables(message.frozenset_value.items))
        if kind == "frozendict_value":
            import types

            frozen: Dict[Any, Any] = {}
            pairs = message.frozendict_value
            self.fill(frozen, zip(pairs.keys, pairs.values), len(pairs.keys))
            return types.MappingProxyType(frozen)
        if kind == "object_value":
            read = READERS.get(message.object_value.kind)
            if read is not None:
                return read(self, message.object_value.fields, entry)
        raise CloneError("$", "no value of a kind that this client knows")

    def fill(self, into: Any, pairs: Iterable[Tuple[pb.Value, pb.Value]], count: int) -> None:
        """Entries of a dict, whose keys come once each."""
        for key_message, message in pairs:
            key = self.read(key_message)
            hash(key)
            into[key] = self.read(message)
        if len(into) != count:
            raise CloneError("$", "a key comes twice")

    def _fill_set(self, into: set[Any], messages: Sequence[pb.Value]) -> None:
        into.update(self._hashables(messages))
        if len(into) != len(messages):
            raise CloneError("$", "an item of a set comes twice")

    def _hashables(self, messages: Iterable[pb.Value]) -> Iterable[Any]:
        return map(self.read, messages)


_PLAIN: Dict[Any, Callable[[pb.Value], Any]] = {
    "singleton": lambda message: _SINGLETONS[message.singleton],
    "bool_value": lambda message: message.bool_value,
    "int_value": lambda message: message.int_value,
    "big_int_value": lambda message: int.from_bytes(message.big_int_value, "little", signed=True),
    "float_value": lambda message: message.float_value,
    "complex_value": lambda message: complex(message.complex_value.real, message.complex_value.imaginary),
    "string_value": lambda message: message.string_value,
    "surrogate_string_value": lambda message: message.surrogate_string_value.decode("utf-8", "surrogatepass"),
    "bytes_value": lambda message: message.bytes_value,
    "bytearray_value": lambda message: bytearray(message.bytearray_value),
    "buffer_value": lambda message: message.buffer_value,
}
