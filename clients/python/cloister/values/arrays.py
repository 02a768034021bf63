"""numpy's arrays and scalars, where numpy is installed; it is imported with the first of them that is seen."""

from __future__ import annotations

import math
import re
import sys
from typing import Any, Sequence

from ..v1 import value_pb2 as pb
from .encoder import FINDERS, PLAIN, Encoder, Writer, in_place, refuse
from .kinds import put_buffer
from .path import Path
from .records import RawArray

_MOST_DIMENSIONS = 64
# Of what an empty array of a hostile sandbox's may say that one element has: numpy allocates that much for it.
_LARGEST_EMPTY_ITEM = 1 << 16
_DTYPE = re.compile(r"[<>|=]?[biufcmMSUV?][0-9]{0,10}(\[[0-9]{0,10}[a-zA-Z]{1,7}\])?")


def _ndarray(encoder: Encoder, value: Any, message: pb.Value, depth: int, path: Path) -> None:
    import numpy

    dtype = value.dtype
    description = dtype.str if dtype.names is None else dtype.descr
    try:
        is_whole = not dtype.hasobject and numpy.dtype(description) == dtype
    except (TypeError, ValueError):
        is_whole = False
    if not is_whole:
        raise refuse(path, value, f"its dtype is {dtype}")
    in_fortran_order = bool(value.flags.f_contiguous and not value.flags.c_contiguous)
    made = encoder.object(message, pb.Object.KIND_NDARRAY, path)
    encoder.put(description, made.fields.add(), depth + 1, path)
    encoder.put(in_fortran_order, made.fields.add(), depth + 1, path)
    put_buffer(encoder, value.tobytes("F" if in_fortran_order else "C"), made, path)
    encoder.put_all(value.shape, made.fields, depth, path)


@in_place
def _number(encoder: Encoder, value: Any, message: pb.Value, depth: int, path: Path) -> None:
    """A scalar of numpy's is the Python number of the same value."""
    number = value.item()
    PLAIN[type(number)](encoder, number, message, depth, path)


def _find(value: Any, kind: type) -> Writer | None:
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return None
    if kind is numpy.ndarray:
        return _ndarray
    is_number = isinstance(value, (numpy.bool_, numpy.number)) and not isinstance(value, numpy.timedelta64)
    if is_number and type(value.item()) in PLAIN:  # a long double has no Python number
        return _number
    return None


FINDERS.insert(0, _find)


def make_array(description: Any, fortran_order: bool, data: bytes, shape: Sequence[int]) -> Any:
    """The array of what a sandbox said. ValueError where it contradicts itself or wants more memory than it sent.

    The array owns its memory and can be written to.
    """
    try:
        import numpy
    except ImportError:
        return RawArray(description, tuple(shape), fortran_order, data)
    if len(shape) > _MOST_DIMENSIONS or any(length < 0 for length in shape):
        raise ValueError("the dimensions of an array are wrong")
    dtype = numpy.dtype(_checked(description))
    if dtype.hasobject or dtype.itemsize * math.prod(shape) != len(data):
        raise ValueError("an array's content has another size than its dimensions")
    order: Any = "F" if fortran_order else "C"
    if not data:
        if dtype.itemsize > _LARGEST_EMPTY_ITEM or not dtype.itemsize and math.prod(shape) > _LARGEST_EMPTY_ITEM:
            raise ValueError("an empty array of very large elements")
        return numpy.empty(shape, dtype, order)
    return numpy.ndarray(shape, dtype, bytearray(data), order=order)


def _checked(description: Any, depth: int = 0) -> Any:
    """A dtype's description with nothing in it but what dtypes write themselves.

    numpy takes far more, such as names of types and C structures; nothing of that is a sandbox's to ask for.
    """
    if type(description) is str:
        if not _DTYPE.fullmatch(description):
            raise ValueError(f"{description[:40]!r} is no type of an array's elements")
        return description
    if type(description) is not list or depth > 8 or len(description) > 1000:
        raise ValueError("no type of an array's elements")
    return [_checked_field(field, depth) for field in description]


def _checked_field(field: Any, depth: int) -> tuple[Any, ...]:
    if type(field) is not tuple or len(field) not in (2, 3):
        raise ValueError("no field of a structured array")
    name, kind, *rest = field
    titled = type(name) is tuple and len(name) == 2 and all(type(part) is str for part in name)
    if type(name) is not str and not titled:
        raise ValueError("no name of a structured array's field")
    for shape in rest:
        lengths = shape if type(shape) is tuple else (shape,)
        if len(lengths) > _MOST_DIMENSIONS or any(type(n) is not int or not 0 <= n < 1 << 31 for n in lengths):
            raise ValueError("no shape of a structured array's field")
    return (name, _checked(kind, depth + 1), *rest)
