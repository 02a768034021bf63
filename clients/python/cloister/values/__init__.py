"""Values between this process and code in sandboxes, typed and without pickle.

    encode(object) -> Value      what is sent
    decode(Value) -> object      what came

What can travel is in proto/CLONE.md: numbers of any size, text, bytes, containers with identity and cycles, moments with
their zones, decimals, fractions, paths, numpy's arrays, dataclasses, named tuples, enums, exceptions.

Thread-safety: functions without state.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Tuple

from ..v1 import value_pb2 as pb
from . import arrays, kinds, makers  # noqa: F401  they fill the tables
from .decoder import Decoder
from .encoder import encode
from .errors import CloneError, RemoteError
from .records import EnumRecord, Name, RawArray, Record, RegisteredRecord, TupleRecord

__all__ = ["CloneError", "EnumRecord", "Name", "RawArray", "Record", "RegisteredRecord", "RemoteError", "TupleRecord",
           "class_table", "decode", "encode"]

ClassTable = Mapping[Tuple[str, str], type]


def decode(message: pb.Value, classes: ClassTable = {}) -> Any:
    """The object of a message. Raises CloneError where none can be made of it.

    Args:
        classes: of whose instances objects are made, from `class_table()`; of others records are.
    """
    return Decoder(message, classes).decode()


def class_table(classes: Iterable[type]) -> ClassTable:
    """Classes by the names under which a sandbox sends their instances: dataclasses, enums, named tuples, exceptions."""
    table: dict[Tuple[str, str], type] = {}
    for class_ in classes:
        if not isinstance(class_, type):
            raise TypeError(f"classes: {class_!r} is not a class")
        table[class_.__module__, class_.__qualname__] = class_
    return table
