"""What stands for objects whose class a client does not know.

A sandbox says of which class an object is; a client makes instances of classes that its user gave it
(``Client(classes=[Point])``), and one of these for all others. Sent back, they are what they were.
"""

from __future__ import annotations

from typing import Any, Iterator


class Name:
    """A class or function by its name; nothing is looked up or imported.

    Attributes:
        module: e.g. ``collections``.
        qualified_name: e.g. ``OrderedDict``.
    """

    __slots__ = ("module", "qualified_name")

    def __init__(self, module: str, qualified_name: str) -> None:
        self.module = module
        self.qualified_name = qualified_name

    def __repr__(self) -> str:
        return f"<{self.module}.{self.qualified_name} of a sandbox>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Name):
            return NotImplemented
        return (self.module, self.qualified_name) == (other.module, other.qualified_name)

    def __hash__(self) -> int:
        return hash((self.module, self.qualified_name))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"{self.module}.{self.qualified_name} is of a sandbox and cannot be called here")


class Record:
    """An instance of a dataclass, with its fields as attributes.

    ``record.fields`` has them as a dict as well, and ``record.class_name`` the class. Equal to itself only.
    """

    __slots__ = ("class_name", "fields")

    def __init__(self, class_name: Name, fields: dict[str, Any]) -> None:
        self.class_name = class_name
        self.fields = fields

    def __getattr__(self, name: str) -> Any:
        # Not self.fields: an instance that copy or pickle just allocated has none.
        if name.startswith("__"):  # protocols, as numpy's: a sandbox is not to take part in them
            raise AttributeError(name)
        fields = object.__getattribute__(self, "fields")
        try:
            return fields[name]
        except KeyError:
            raise AttributeError(f"the {self.class_name.qualified_name} of a sandbox has no field {name!r}") from None

    def __repr__(self) -> str:
        return f"<{self.class_name.qualified_name} with {', '.join(map(str, self.fields)) or 'nothing'}>"


class TupleRecord(tuple):  # type: ignore[type-arg]
    """A named tuple of an unknown class: its items, without their names."""

    class_name: Name

    @classmethod
    def make(cls, class_name: Name, items: Iterator[Any]) -> TupleRecord:
        record = cls(items)
        record.class_name = class_name
        return record


class EnumRecord:
    """A member of an enum of an unknown class: its name, or the number of what has none, as for flags together."""

    __slots__ = ("class_name", "member")

    def __init__(self, class_name: Name, member: str | int) -> None:
        self.class_name = class_name
        self.member = member

    def __repr__(self) -> str:
        return f"<{self.class_name.qualified_name}.{self.member}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, EnumRecord):
            return NotImplemented
        return (self.class_name, self.member) == (other.class_name, other.member)

    def __hash__(self) -> int:
        return hash((self.class_name, self.member))


class RegisteredRecord:
    """An instance of a class registered with ``cloister.register_clone`` inside the sandbox: its state."""

    __slots__ = ("class_name", "state")

    def __init__(self, class_name: Name, state: Any = None) -> None:
        self.class_name = class_name
        self.state = state

    def __repr__(self) -> str:
        return f"<{self.class_name.qualified_name} of a sandbox>"


class RawArray:
    """A numpy array where there is no numpy.

    Attributes:
        dtype: as numpy writes it (``<f8``), or the list of fields of a structured one.
        shape: lengths of the dimensions.
        fortran_order: whether the first dimension varies fastest in ``data``.
        data: the content.
    """

    __slots__ = ("dtype", "shape", "fortran_order", "data")

    def __init__(self, dtype: Any, shape: tuple[int, ...], fortran_order: bool, data: bytes) -> None:
        self.dtype = dtype
        self.shape = shape
        self.fortran_order = fortran_order
        self.data = data

    def __repr__(self) -> str:
        return f"<array of {self.dtype}, shape {self.shape}; numpy is not installed here>"
