"""A worker of an InterpreterPoolExecutor.

It serves tasks within calls, which have the limits of executions: a call ends when there is nothing to do for a
while, or after some seconds, and the executor starts another when there is.

The loader adds to this namespace: `load`.
"""

import queue
import time

_calls = load("calls")
_messages = load("messages")
ChannelClosed = _messages["ChannelClosed"]

# How long it waits for a task, and how long it takes tasks, within one call.
_IDLE_SECONDS = 1.0
_SERVE_SECONDS = 5.0

_tasks = _results = None


def _serve_pool():
    """Takes tasks until there are none for a while. Each is (number, what it is, name, source, args, kwargs), and
    what is given back (number, value, exception)."""
    global _tasks, _results
    if _tasks is None:
        tasks, results, name, source, initargs = _messages["inbox"].get()
        if name is not None or source is not None:
            _calls["find_described"](name, source)(*initargs)
        _tasks, _results = tasks, results
    end = time.monotonic() + _SERVE_SECONDS
    while time.monotonic() < end:
        try:
            task = _tasks.get(timeout=_IDLE_SECONDS)
        except (queue.Empty, ChannelClosed):
            return
        except Exception as exc:
            number, outcome = None, (None, _calls["pack_exception"](exc))  # of one that cannot be read here
        else:
            number, outcome = task[0], _run(*task[1:])
            del task  # and what it has, while the next one is waited for
        try:
            _put_outcome(number, *outcome)
        except ChannelClosed:
            return
        del outcome


def _run(kind, name, source, args, kwargs):
    try:
        function = _calls["find_described"](name, source)
        if kind == "chunk":
            return [function(*each) for each in args], None
        return function(*args, **kwargs), None
    except (Exception, SystemExit, GeneratorExit) as exc:
        return None, _calls["pack_exception"](exc)


def _put_outcome(number, value, exception):
    try:
        _results.put((number, value, exception))
    except ChannelClosed:
        raise
    except Exception as problem:
        _results.put((number, None, _calls["pack_exception"](problem)))
