"""One call of an executor: how a function and its arguments get to a sandbox, and how its exception comes back."""

from __future__ import annotations

import ast
import builtins
import threading
import weakref
from typing import Any, Callable, Dict, Iterable, NamedTuple, NoReturn, Tuple

from ..errors import OutcomeError, Raised
from ..program import Limits
from ..result import Result
from ..runner import Runner
from ..source import NotPortable, Portable, portable

# What runs a pickled call; the result is a value, so that nothing has to be unpickled outside.
_UNPICKLE = """
def __run_pickled(__content):
    import pickle
    function, arguments, keywords = pickle.loads(__content)
    return function(*arguments, **keywords)
"""


class Call(NamedTuple):
    program: Portable
    arguments: Tuple[Any, ...]
    keywords: Dict[str, Any]


class Shipper:
    """Makes calls of functions. Thread-safe. Sources are looked for once for each function."""

    def __init__(self, modules: Iterable[str], limits: Limits | None, template: str, timeout: float | None,
                 unsafe_cloudpickle: bool) -> None:
        self.limits = limits
        self.template = template
        self.timeout = timeout
        self._modules = tuple(modules)
        self._known: weakref.WeakKeyDictionary[Any, Portable] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()
        self._dumps = _cloudpickle() if unsafe_cloudpickle else None

    def __call__(self, function: Callable[..., Any], arguments: Tuple[Any, ...], keywords: Dict[str, Any]) -> Call:
        if self._dumps is not None:
            content = self._dumps((function, arguments, keywords))
            return Call(Portable(_UNPICKLE, {}, "__run_pickled"), (content,), {})
        return Call(self._portable(function), arguments, keywords)

    def _portable(self, function: Callable[..., Any]) -> Portable:
        try:
            with self._lock:
                known = self._known.get(function)
        except TypeError:  # not to be referred to weakly, or not hashable
            return portable(function, self._modules)
        if known is None:
            known = portable(function, self._modules)
            with self._lock:
                self._known[function] = known
        return known


def _cloudpickle() -> Callable[[Any], bytes]:
    try:
        import cloudpickle
    except ImportError:
        raise NotPortable("unsafe_cloudpickle needs the package cloudpickle") from None
    dumps: Callable[[Any], bytes] = cloudpickle.dumps
    return dumps


def call_of(runner: Runner, call: Call, limits: Limits | None, template: str, timeout: float | None) -> Result:
    return runner.call_function(
        call.program.function, call.arguments, call.keywords, code=call.program.code, limits=limits, template=template,
        variables=call.program.variables, timeout=timeout)


def raise_as_its_own(error: OutcomeError) -> NoReturn:
    """Raises the builtin exception that a function raised, with what came of its run as the cause; else `error`."""
    exception = error.outcome.exception if isinstance(error, Raised) else None
    if exception is None or exception.module != "builtins":
        raise error
    class_ = getattr(builtins, exception.type, None)
    if not (isinstance(class_, type) and issubclass(class_, Exception)):
        raise error  # SystemExit and the like are not a sandbox's to raise here
    text = exception.message
    try:
        made = class_(_literal(text) if class_ is KeyError else text) if text else class_()
    except Exception:  # it wants other arguments
        raise error from None
    raise made from error


def _literal(text: str) -> Any:
    """The key of a KeyError, whose message is the key's repr."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text
