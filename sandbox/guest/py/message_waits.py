"""Messages in event loops.

The loader adds to this namespace: `load`.
"""

import asyncio
import threading
from collections import deque
from contextvars import copy_context
from types import CoroutineType

_watches = {}  # by loop and descriptor
_tasks = set()


class _Watch:
    """Who waits in a loop for an end: coroutines, each for a turn at it, and a handler when there are none. It holds
    the end, so that its descriptor stays open, and no other's, until the loop does not know it any more. The loop
    watches a duplicate: the number itself is the program's to watch."""

    def __init__(self, loop, held):
        self.loop = loop
        self.held = held
        self.descriptor = held.fileno()
        self.waiters = deque()
        self.handler = None
        self.watched = held._hold()
        try:
            loop.add_reader(self.watched, self.on_readable)
        except BaseException:
            held._let_go(self.watched)
            raise
        _watches[loop, self.descriptor] = self

    def on_readable(self):
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                break
        else:
            if self.handler is not None:
                self.handler()
        if not self.waiters and self.handler is None:
            # Behind the waiter's turn, who often waits for the next message then.
            self.loop.call_soon(self.end_if_unused)

    def end_if_unused(self):
        if not self.waiters and self.handler is None:
            self.end()

    def end(self):
        if _watches.get((self.loop, self.descriptor)) is self:
            del _watches[self.loop, self.descriptor]
            if not self.loop.is_closed():
                self.loop.remove_reader(self.watched)
            self.held._let_go(self.watched)
        for waiter in self.waiters:
            if not waiter.done() and not self.loop.is_closed():
                waiter.set_result(None)
        self.waiters.clear()


def _watch(loop, held):
    watch = _watches.get((loop, held.fileno()))
    if watch is None:
        for other in [one for one in _watches.values() if one.loop.is_closed()]:
            other.end()
        watch = _Watch(loop, held)
    return watch


async def readable(held):
    """Until it is worth trying to receive."""
    if held.fileno() < 0:
        return  # closed, as trying tells
    watch = _watch(asyncio.get_running_loop(), held)
    waiter = watch.loop.create_future()
    watch.waiters.append(waiter)
    try:
        await waiter
    except asyncio.CancelledError:
        if waiter.done() and not waiter.cancelled() and watch.waiters:
            watch.on_readable()  # the turn was ours, and is the next one's
        raise
    finally:
        if not waiter.done() or waiter.cancelled():
            if waiter in watch.waiters:
                watch.waiters.remove(waiter)
            watch.end_if_unused()


def forget(descriptor):
    """A descriptor is to be closed: loops let go of it, and who waits for it is to find out."""
    for loop, number in list(_watches):
        if number != descriptor:
            continue
        watch = _watches[loop, number]
        if loop.is_closed() or asyncio._get_running_loop() is loop:
            watch.end()
        else:
            loop.call_soon_threadsafe(watch.end)


# ---- on_message ----------------------------------------------------------------------------------------

_function = None
_context = None


def _handle():
    inbox = load("messages")["inbox"]
    try:
        found = inbox._poll()
        if found is None:
            return
        result = _context.run(_function, found[0])
        if type(result) is CoroutineType:
            task = asyncio.get_running_loop().create_task(_finish(result), context=_context.copy())
            _tasks.add(task)
            task.add_done_callback(_tasks.discard)
    except load("messages")["ChannelClosed"] as exc:
        context = _context
        on_message(None)  # nothing more comes
        context.run(load("mime")["show_error"], exc)
    except Exception as exc:
        _context.run(load("mime")["show_error"], exc)


async def _finish(coroutine):
    try:
        await coroutine
    except Exception as exc:
        load("mime")["show_error"](exc)


def _listen():
    loop = load("event_loop")["session_loop"]()
    _watch(loop, load("messages")["inbox"]._open()).handler = _handle


def on_message(function):
    global _function, _context
    if function is not None and not callable(function):
        raise TypeError(f"on_message() takes a function, or None, not {type(function).__name__}")
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("on_message() is for the thread that runs the cells")
    if function is not None:
        _function, _context = function, copy_context()
        _listen()
        return
    _function = _context = None
    for watch in list(_watches.values()):
        if watch.handler is not None:
            watch.handler = None
            watch.end_if_unused()


# ---- copies of the process -----------------------------------------------------------------------------


def reopen():
    """The descriptors of the inbox are gone. What waited for them opens new ones when its loop runs again."""
    watches = list(_watches.values())
    _watches.clear()
    for watch in watches:
        if not watch.loop.is_closed():
            watch.loop.call_soon(_resume, watch)


def _resume(watch):
    # The loop does not know the old number any more, which may be another's by now.
    for waiter in watch.waiters:
        if not waiter.done():
            waiter.set_result(None)
    if watch.handler is not None and _function is not None:
        try:
            _listen()
        except (OSError, RuntimeError):
            pass  # a fork of the program's own, which has no mailbox
