"""Calls: of functions that the client offers, and of functions in other interpreters.

The loader adds to this namespace: `load`, `encode_clone(value)`, `decode_clone(bytes)`, and `find_function` and
`remember` of program.py.
"""

import sys
from itertools import count
from types import CoroutineType, FunctionType
from weakref import WeakKeyDictionary

_messages = load("messages")
_OneAtATime, _time_left = _messages["OneAtATime"], _messages["time_left"]
_end_spawned = _messages["end_spawned"]
_request_interpreter = _messages["request_interpreter"]
_call_host = _messages["call_host"]
_call_interpreter = _messages["call_interpreter"]


class Call:
    """A call that is under way. It can be awaited."""

    def __init__(self, request, unpack=None):
        self._request = request
        self._unpack = unpack  # makes the result of what came
        self._lock = _OneAtATime("a wait for this call")
        self._outcome = None  # (value, exception)
        self._is_cancelled = False

    def __repr__(self):
        state = "cancelled" if self._is_cancelled else "done" if self.done() else "under way"
        return f"<cloister call {state}>"

    def done(self):
        """Whether result() would not wait."""
        return self._is_cancelled or self._outcome is not None or self._request.is_done()

    def cancelled(self):
        return self._is_cancelled

    def cancel(self):
        """Ends the call, and interrupts what was called. False where its result is there already, and stays."""
        if not self._is_cancelled and not self.done():
            self._is_cancelled = True
            self._request.close()
        return self._is_cancelled

    def _end(self):
        """Of a call whose result nobody wants any more."""
        if not self.cancel():
            self._request.close()

    def _wait(self, timeout):
        """Returns (value, exception)."""
        if self._outcome is None:
            left = _time_left(timeout)
            if not self._lock.acquire(left()):
                raise TimeoutError("the time is over")
            try:
                if self._outcome is None:
                    self._outcome = self._receive(left())
            finally:
                self._lock.release()
        return self._outcome

    def _receive(self, timeout):
        if self._is_cancelled:
            from concurrent.futures import CancelledError

            raise CancelledError
        try:
            result = self._request.result(timeout)
            return (result if self._unpack is None else self._unpack(result)), None
        except Exception as exc:
            if self._is_cancelled:
                return self._receive(timeout)
            if not self._request.is_closed():  # there is no answer yet
                raise
            exc.__traceback__ = None
            return None, exc

    def result(self, timeout=None):
        """What the function returned; raises what it raised. TimeoutError where that takes too long: the call
        goes on."""
        value, exc = self._wait(timeout)
        if exc is not None:
            raise exc
        return value

    def exception(self, timeout=None):
        """What the function raised, or None."""
        return self._wait(timeout)[1]

    def fileno(self):
        """A descriptor that can be read when the call is done."""
        return self._request.fileno()

    def __await__(self):
        return self._result_async().__await__()

    async def _result_async(self):
        readable = load("message_waits")["readable"]
        try:
            while not self.done():
                await readable(self._request)
        except BaseException:
            self.cancel()
            raise
        return self.result()


# ---- the client ----------------------------------------------------------------------------------------


class HostFunction:
    """A function that the client offers."""

    __slots__ = ("__name__",)

    def __init__(self, name):
        self.__name__ = name

    def __repr__(self):
        return f"<function cloister.host.{self.__name__}>"

    def start(self, /, *args, **kwargs):
        """Calls it without waiting: returns a Call."""
        return Call(_call_host(self.__name__, args, kwargs))

    def __call__(self, /, *args, **kwargs):
        started = self.start(*args, **kwargs)
        try:
            return started.result()
        finally:
            started._end()


class Host:
    """The functions that the client offers to this interpreter on its stream. Arguments and results are clones.
    LookupError where it offers no such function, ChannelClosed where the client goes while it is called."""

    __slots__ = ()

    def __repr__(self):
        return "<cloister.host>"

    def __getattr__(self, name):
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return HostFunction(name)


host = Host()


# ---- other interpreters --------------------------------------------------------------------------------


def describe_function(function):
    """How another interpreter comes by it: (name, None) or (None, source)."""
    if isinstance(function, str):
        return function, None
    module = getattr(function, "__module__", None)
    path = getattr(function, "__qualname__", None)
    if not callable(function) or not isinstance(module, str) or not isinstance(path, str):
        raise TypeError(f"a function, or the name of one, is called, not {type(function).__name__}")
    if module == "__main__":
        return None, _source_of(function, path)
    found = sys.modules.get(module)
    for name in path.split("."):
        found = getattr(found, name, None)
    if found is not function and getattr(found, "__func__", None) is not function:
        raise TypeError(f"{module}.{path} cannot be found under its name, so no other interpreter can call it")
    return f"{module}:{path}", None


_sources = WeakKeyDictionary()  # by functions: (code, source)


def _source_of(function, path):
    if type(function) is not FunctionType or "." in path or path == "<lambda>" or function.__closure__:
        raise TypeError(
            f"{path} of __main__ is not a function at its top level, so no other interpreter can call it"
        )
    code, source = _sources.get(function, (None, None))
    if code is not function.__code__:
        import inspect
        import textwrap

        try:
            source = textwrap.dedent(inspect.getsource(function))
        except (OSError, IndentationError) as exc:
            raise TypeError(f"the source of {path} cannot be found, so no other interpreter can call it") from exc
        _sources[function] = function.__code__, source
    return source


def _name_of(interpreter):
    name = interpreter if isinstance(interpreter, str) else getattr(interpreter, "name", None)
    if isinstance(name, str):
        return name
    raise TypeError(f"an interpreter is given by its name, not by {type(interpreter).__name__}")


def start_call(interpreter, function, /, *args, **kwargs):
    """Calls a function in another interpreter of the sandbox, without waiting: returns a Call."""
    name, source = describe_function(function)
    arguments = encode_clone((args, kwargs))
    request = _call_interpreter(_name_of(interpreter), "cloister:_invoke", (name, source, arguments), {})
    return Call(request, _unpack)


def _unpack(outcome):
    """What _invoke() returned there, to be believed as little as who runs there."""
    value, packed = decode_clone(outcome) if isinstance(outcome, bytes) else (None, None)
    if packed is not None:
        raise unpack_exception(packed)
    return value


class RemoteTraceback(Exception):
    """Where in another interpreter an exception was raised: the cause of the exception, or of its first cause."""

    def __str__(self):
        return '\n"""\n%s"""' % self.args[0]


_MAX_TRACEBACK = 1 << 14  # characters, of which the last ones say most
_MAX_CAUSES = 100


def pack_exception(exc):
    """As (clone, module and name of its class, text, traceback): the class may be unknown where it arrives."""
    kind = type(exc)
    try:
        text = str(exc)
    except Exception:
        text = ""
    try:
        import traceback

        # Without the frame of ours that called the function.
        shown = "".join(traceback.format_exception(kind, exc, exc.__traceback__ and exc.__traceback__.tb_next))
    except Exception:
        shown = ""
    return encode_clone(exc), str(kind.__module__), kind.__qualname__, text, shown[-_MAX_TRACEBACK:]


def unpack_exception(packed):
    clone, module, name, text, shown = packed
    exc = None
    try:
        exc = decode_clone(clone)
    except TypeError:  # a DataCloneError
        pass
    if not isinstance(exc, BaseException):
        exc = load("clone")["RemoteError"](text)
        exc.module, exc.type_name = module, name
    if isinstance(shown, str) and shown:
        first = exc
        for _ in range(_MAX_CAUSES):  # they may go in circles
            if first.__cause__ is None:
                first.__cause__ = RemoteTraceback(shown)
                break
            first = first.__cause__
    return exc


_defined = {}  # functions by their source
_MAX_DEFINED = 100
_numbers = count(1)


def find_described(name, source):
    """The function that describe_function() told of in another interpreter."""
    names = load("cell")["session_names"]()
    if source is None:
        return find_function(name, names)
    function = _defined.get(source)
    if function is None:
        before = dict(names)
        file_name = f"<function {next(_numbers)} of another interpreter>"
        remember(source.encode("utf-8", "surrogatepass"), file_name)
        exec(compile(source, file_name, "exec"), names)
        made = [key for key, value in names.items() if before.get(key) is not value and callable(value)]
        if len(made) != 1:
            raise TypeError("the source is not that of one function")
        function = _defined[source] = names[made[0]]
        if made[0] in before:  # something else of this interpreter's has the name
            names[made[0]] = before[made[0]]
        while len(_defined) > _MAX_DEFINED:
            del _defined[next(iter(_defined))]
    return function


def _outcome(value, exc):
    try:
        return encode_clone((value, None if exc is None else pack_exception(exc)))
    except Exception as problem:
        return encode_clone((None, pack_exception(problem)))


async def _finish(coroutine):
    try:
        return _outcome(await coroutine, None)
    except Exception as exc:
        return _outcome(None, exc)


def _invoke(name, source, arguments):
    """What call() has the other interpreter run. What is raised is a result as well, so that it arrives as it is."""
    try:
        function = find_described(name, source)
        args, kwargs = decode_clone(arguments)
        value = function(*args, **kwargs)
        if type(value) is CoroutineType:
            return _finish(value)
    except Exception as exc:
        return _outcome(None, exc)
    return _outcome(value, None)


def call(interpreter, function, /, *args, timeout=None, **kwargs):
    """Calls a function in another interpreter of the sandbox, between its cells, and returns what it returns or
    raises what it raises. The function is 'module:name', a name in __main__ there, a function that can be
    imported, or one of this __main__, whose source is sent. Arguments and result are clones. TimeoutError where
    it takes longer than `timeout` seconds; it is interrupted then."""
    started = start_call(interpreter, function, *args, **kwargs)
    try:
        return started.result(timeout)
    finally:
        started._end()


class Interpreter:
    """Another interpreter of this sandbox. As a context manager it is ended at the end."""

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f"<cloister.Interpreter {self.name}>"

    def post(self, value, timeout=None, transfer=()):
        """cloister.post() into its inbox."""
        _messages["post"](value, self.name, timeout, transfer)

    def call(self, function, /, *args, timeout=None, **kwargs):
        """cloister.call() of a function in it."""
        return call(self.name, function, *args, timeout=timeout, **kwargs)

    def start_call(self, function, /, *args, **kwargs):
        """cloister.start_call() of a function in it."""
        return start_call(self.name, function, *args, **kwargs)

    def close(self):
        """Ends it, and whatever runs in it."""
        _messages["_ports"].pop(self.name, None)
        try:
            _end_spawned(self.name).result()
        except LookupError:
            pass  # it has ended

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()


def spawn_interpreter(name="", profile="", imports=(), memory_limit_bytes=0):
    """A new interpreter in this sandbox, as CreateInterpreter makes them. `profile`: "isolated", "shared_gil" or
    "process"; empty for what loads the modules `imports`, which are imported there first."""
    imports = (imports,) if isinstance(imports, str) else tuple(imports)
    return Interpreter(_request_interpreter(name, profile, imports, memory_limit_bytes).result())


for _class in (Call, Host, HostFunction, Interpreter, RemoteTraceback):
    _class.__module__ = "cloister"
