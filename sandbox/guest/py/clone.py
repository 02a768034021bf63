"""The exceptions of clones, as `cloister` shows them."""


class DataCloneError(TypeError):
    """A value that cannot be cloned, with the way to what is in it: `$.users[3].socket: socket.socket cannot
    be cloned`. Or a clone that cannot be read here."""


class RemoteError(Exception):
    """An exception of another interpreter that cannot be made here: its class cannot be found, or its
    arguments cannot be cloned.

    `type_name` and `module` are those of its class, `args` a text for each of its arguments."""

    module = ""
    type_name = ""

    def __str__(self):
        name = f"{self.module}.{self.type_name}" if self.module not in ("", "builtins") else self.type_name
        text = self.args[0] if len(self.args) == 1 else ", ".join(map(str, self.args))
        return f"{name}: {text}" if text else name


for _class in (DataCloneError, RemoteError):
    _class.__module__ = "cloister"


def array_parts(array):
    """Of an exact numpy.ndarray: (dtype, whether in Fortran order, bytes, shape), or why it has none."""
    import numpy

    dtype = array.dtype
    if dtype.hasobject:
        return f"numpy.ndarray of {dtype} cannot be cloned"
    description = dtype.str if dtype.names is None else dtype.descr
    try:
        is_same = numpy.dtype(description) == dtype
    except (TypeError, ValueError):
        is_same = False
    if not is_same:
        return f"numpy.ndarray of {dtype} cannot be cloned"
    in_fortran_order = array.flags.f_contiguous and not array.flags.c_contiguous
    return description, in_fortran_order, array.tobytes("F" if in_fortran_order else "C"), array.shape


def make_array(description, in_fortran_order, content, shape):
    """The array of what array_parts() gave. `content` is a bytearray, which it keeps as its memory."""
    import math

    import numpy

    if type(description) not in (str, list):
        raise ValueError("no type of an array")
    dtype = numpy.dtype(description)
    if dtype.hasobject or any(length < 0 for length in shape):
        raise ValueError("no array of values")
    if dtype.itemsize * math.prod(shape) != len(content):
        raise ValueError("an array whose content has another size")
    order = "F" if in_fortran_order else "C"
    if not content:
        return numpy.empty(shape, dtype, order)
    return numpy.ndarray(shape, dtype, content, order=order)
