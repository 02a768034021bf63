"""Functions of this process as programs: by the name of what can be imported in the sandbox, or by their source.

No pickle. By source go functions and classes written in a file or a notebook, with what they use of their module:
modules, other functions and classes, and values that can be cloned. What cannot go is refused by name before anything is
sent: closures, lambdas, bound methods, objects of unknown kinds.
"""

from __future__ import annotations

import ast
import dis
import functools
import inspect
import sys
import textwrap
import types
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Set

from . import values
from .errors import CloisterError


class NotPortable(CloisterError, TypeError):
    """A function cannot be sent to a sandbox by name or source; the message says what hinders it."""


class Portable(NamedTuple):
    """A function as a program: what to run, which variables to set, and what to call then."""

    code: str
    variables: Dict[str, Any]
    function: str


def portable(function: Callable[..., Any] | str, modules: Iterable[str] = ()) -> Portable:
    """The program for a function.

    Args:
        function: a function, or "module:name" of what the sandbox can import.
        modules: top-level modules beside the standard library's that the sandbox has; their functions go by name.

    Raises:
        NotPortable: it cannot go.
    """
    if isinstance(function, str):
        return Portable("", {}, function)
    if isinstance(function, functools.partial) or not callable(function):
        raise NotPortable(f"{function!r} is no function; send a function, and its arguments beside it")
    name = getattr(function, "__qualname__", "")
    module = getattr(function, "__module__", None)
    if getattr(function, "__self__", None) is not None and not inspect.ismodule(function.__self__):  # type: ignore[attr-defined]
        raise NotPortable(f"{name} is bound to an object, which stays here; send a function")
    if module is not None and _is_there(module, modules):
        return Portable("", {}, f"{module}:{name}")
    if not isinstance(function, types.FunctionType):
        raise NotPortable(f"{module}.{name} has no Python source, and no module that the sandbox is known to have; "
                          f"name its module in `modules`, or send it as \"module:name\"")
    collector = _Collector(modules)
    collector.add_function(function.__name__, function)
    return Portable("\n\n".join(collector.imports + collector.sources), collector.variables, function.__name__)


def _is_there(module: str, modules: Iterable[str]) -> bool:
    top = module.partition(".")[0]
    return top in sys.stdlib_module_names and module != "__main__" or top in set(modules)


class _Collector:
    """Walks from a function to what it uses."""

    def __init__(self, modules: Iterable[str]) -> None:
        self._modules = frozenset(modules)
        self._seen: Dict[str, Any] = {}
        self.imports: List[str] = []
        self.sources: List[str] = []
        self.variables: Dict[str, Any] = {}

    def add_function(self, name: str, function: types.FunctionType) -> None:
        self._seen[name] = function
        if function.__name__ == "<lambda>":
            raise NotPortable("a lambda has no name and no source of its own; write it as a function")
        if function.__closure__:
            raise NotPortable(f"{function.__qualname__} uses {', '.join(function.__code__.co_freevars)} of the function "
                              "round it; pass what it needs as arguments")
        if hasattr(function, "__wrapped__"):
            raise NotPortable(f"{function.__qualname__} is wrapped by a decorator; send what is in it")
        source = _undecorated(_source(function))
        for used in sorted(_names(function.__code__)):
            self._add(used, function.__globals__, function.__qualname__)
        self.sources.append(source)

    def _add(self, name: str, namespace: Dict[str, Any], user: str) -> None:
        if name not in namespace or name.startswith("__"):
            return  # a builtin, or the error that Python will raise there
        used = namespace[name]
        if name in self._seen:
            if self._seen[name] is not used:
                raise NotPortable(f"{user} and what it uses mean different things by {name}; give them different names")
            return
        self._seen[name] = used
        module = getattr(used, "__module__", None)
        if inspect.ismodule(used):
            self._import_module(name, used, user)
        elif isinstance(used, (types.FunctionType, type)) and module == namespace.get("__name__"):
            self._add_own(name, used)
        elif callable(used) and module is not None and _is_there(module, self._modules):
            line = f"from {module} import {used.__name__}"
            self.imports.append(line if used.__name__ == name else f"{line} as {name}")
        elif isinstance(used, types.FunctionType):
            self.add_function(name, used)
        else:
            self._add_value(name, used, user)

    def _import_module(self, name: str, module: types.ModuleType, user: str) -> None:
        if not _is_there(module.__name__, self._modules):
            raise NotPortable(f"{user} uses the module {module.__name__}, which the sandbox may not have; "
                              "name it in `modules` if it has it")
        self.imports.append(f"import {module.__name__} as {name}" if module.__name__ != name else f"import {name}")

    def _add_own(self, name: str, used: Any) -> None:
        if isinstance(used, types.FunctionType):
            self.add_function(name, used)
            return
        source = _source(used)
        for member in vars(used).values():
            member = getattr(member, "__func__", getattr(member, "fget", member))
            if isinstance(member, types.FunctionType):
                for inner in sorted(_names(member.__code__)):
                    self._add(inner, member.__globals__, f"{name}.{member.__name__}")
        for word in used.__bases__:
            if word.__module__ == used.__module__:
                self._add(word.__name__, sys.modules[used.__module__].__dict__, name)
        for decorator in _decorators(source):
            self._add(decorator, sys.modules[used.__module__].__dict__, name)
        self.sources.append(source)

    def _add_value(self, name: str, used: Any, user: str) -> None:
        try:
            values.encode(used)
        except values.CloneError as error:
            raise NotPortable(f"{user} uses {name}, which cannot be sent: {error}") from None
        self.variables[name] = used


def _source(thing: Any) -> str:
    try:
        return textwrap.dedent(inspect.getsource(thing)).strip()
    except (OSError, TypeError):
        raise NotPortable(f"the source of {thing.__qualname__} cannot be found; write it in a file, or send it as "
                          "\"module:name\" of what the sandbox can import") from None


def _undecorated(source: str) -> str:
    """Of a function without __wrapped__: its decorators, like the one that asks for its source, are no part of it."""
    definition = ast.parse(source).body[0]
    return "\n".join(source.splitlines()[definition.lineno - 1:])


def _names(code: types.CodeType) -> Set[str]:
    """Names that code may look up in its module, those of functions within it included."""
    loads = ("LOAD_GLOBAL", "LOAD_NAME")
    found = {str(each.argval) for each in dis.get_instructions(code) if each.opname in loads}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names(constant)
    return found


def _decorators(source: str) -> List[str]:
    lines = (line.strip() for line in source.splitlines())
    return [line[1:].partition("(")[0].partition(".")[0] for line in lines if line.startswith("@")]
