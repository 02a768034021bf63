"""Functions of this process that run in sandboxes when they are called."""

from __future__ import annotations

import functools
from typing import Any, Callable, Dict, Iterable, Mapping, Tuple, TypeVar

from .program import Content, Limits
from .result import Result
from .runner import RunBase, RunOperations
from .source import Portable, portable

Self = TypeVar("Self", bound="FunctionMaker")


class FunctionMaker:
    """A function as a program for a sandbox.

    Options:
        limits: of each call.
        template: whose sandboxes run it.
        modules: top-level modules, beside the standard library's, that the sandbox has. Functions of those go by name.
        timeout: seconds for each call.
    """

    def __init__(
        self,
        client: RunBase,
        target: Callable[..., Any] | str,
        *,
        limits: Limits | None = None,
        template: str = "",
        modules: Iterable[str] = (),
        timeout: float | None = None,
    ) -> None:
        self._client: Any = client
        self.program_of: Portable = portable(target, modules)
        self.limits = limits
        self.template = template
        self.timeout = timeout
        if callable(target):
            functools.update_wrapper(self, target)

    @classmethod
    def make(cls: type[Self], client: RunBase, target: Any, options: Dict[str, Any]) -> Any:
        if target is None:
            return lambda function: cls(client, function, **options)
        return cls(client, target, **options)

    @staticmethod
    def program(
        code: Any, function: str, variables: Mapping[str, Any] | None
    ) -> Tuple[Content, str, Mapping[str, Any] | None]:
        """What a map runs, of code or of a function."""
        if isinstance(code, FunctionMaker):
            made = code.program_of
        elif callable(code):
            made = portable(code)
        else:
            return code, function, variables
        return made.code, made.function, {**made.variables, **(variables or {})}

    async def _result(self, arguments: Tuple[Any, ...], keywords: Dict[str, Any]) -> Result:
        made = self.program_of
        return await RunOperations.call_function(
            self._client, made.function, arguments, keywords, code=made.code, limits=self.limits,
            template=self.template, variables=made.variables, timeout=self.timeout)


class Function(FunctionMaker):
    """See `FunctionMaker`. Called, it returns what the function returned. Thread-safe."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Raises OutcomeError (`Raised`), ServiceError, CloneError."""
        return self.result(*args, **kwargs).raise_for_outcome().value

    def result(self, *args: Any, **kwargs: Any) -> Result:
        """All that came of a call, whatever its end."""
        from .io import drive

        return drive(self._result(args, kwargs))


class AsyncFunction(FunctionMaker):
    """See `FunctionMaker`. Awaiting its call gives what the function returned."""

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Raises OutcomeError (`Raised`), ServiceError, CloneError."""
        return (await self._result(args, kwargs)).raise_for_outcome().value

    async def result(self, *args: Any, **kwargs: Any) -> Result:
        """All that came of a call, whatever its end."""
        return await self._result(args, kwargs)
