"""Why a value cannot travel, and exceptions that came from another interpreter."""

from __future__ import annotations

from typing import Any

from ..errors import CloisterError


class CloneError(CloisterError, TypeError):
    """A value cannot be sent, or what came cannot be made here.

    The message begins with the way to the culprit: ``$.users[3].socket: socket.socket cannot be cloned``.

    Attributes:
        path: that way, from the root ``$``.
        problem: what is wrong there.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self.problem)


class RemoteError(CloisterError):
    """An exception of code in a sandbox whose class is not made here.

    Only the classes of builtin exceptions, and those given to ``Client(classes=...)``, are made in a client: what a sandbox
    says is data.

    Attributes:
        module, type_name: of the class, e.g. ``json.decoder`` and ``JSONDecodeError``.
        args: its arguments, or a text for each.
    """

    def __init__(self, *args: Any, module: str = "", type_name: str = "") -> None:
        super().__init__(*args)
        self.module = module
        self.type_name = type_name

    def __str__(self) -> str:
        name = self.type_name if self.module in ("", "builtins") else f"{self.module}.{self.type_name}"
        text = str(self.args[0]) if len(self.args) == 1 else ", ".join(map(str, self.args))
        return ": ".join(part for part in (name, text) if part)
