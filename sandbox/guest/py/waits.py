"""Waits that an interrupt ends, for interpreters that signals do not reach: see interruptible_waits.h, which
has replaced locks and, where it must, time.sleep already.

The loader adds to this namespace: `load`, `wait_ready`.
"""

import os
import sys
import time

# How late an interrupt may come where a wait can only be cut into pieces.
_SLICE = 0.05
_POLLIN, _POLLOUT = 1, 4

# Before 3.15 an interrupt ends no system call.
_CALLS_GO_ON = sys.version_info < (3, 15)


def _in_slices(wait, timeout):
    """Calls wait(seconds) until it gives something true or the time is over."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = _SLICE if deadline is None else min(_SLICE, deadline - time.monotonic())
        result = wait(max(left, 0))
        if result or (deadline is not None and left < _SLICE):
            return result


def _like(function, original):
    function.__doc__ = original.__doc__
    function.__name__ = original.__name__
    function.__qualname__ = getattr(original, "__qualname__", original.__name__)
    function.__module__ = getattr(original, "__module__", None)
    return function


# ---- threads -------------------------------------------------------------------------------------------


def _adapt_threading(module):
    wait_for_end = module.Thread.join

    def join(self, timeout=None):
        def wait(seconds):
            wait_for_end(self, seconds)
            return not self.is_alive()

        if timeout is not None and timeout <= _SLICE:
            wait_for_end(self, timeout)
        else:
            _in_slices(wait, timeout)

    module.Thread.join = _like(join, wait_for_end)


def _adapt_queue(module):
    original = module.SimpleQueue
    if not isinstance(original, type) or original is getattr(module, "_PySimpleQueue", None):
        return  # made of locks
    get_item = original.get
    Empty = module.Empty

    class SimpleQueue(original):
        __doc__ = original.__doc__
        __slots__ = ()

        def get(self, block=True, timeout=None):
            if not block or (timeout is not None and timeout <= _SLICE):
                return get_item(self, block, timeout)

            def wait(seconds):
                try:
                    return (get_item(self, True, seconds),)
                except Empty:
                    return None

            found = _in_slices(wait, timeout)
            if found is None:
                raise Empty
            return found[0]

    SimpleQueue.__module__, SimpleQueue.__qualname__ = original.__module__, "SimpleQueue"
    module.SimpleQueue = SimpleQueue


# ---- system calls --------------------------------------------------------------------------------------


def _adapt_selectors(module):
    for name in ("SelectSelector", "PollSelector"):
        _slice_selector(getattr(module, name, None))
    epoll = getattr(module, "EpollSelector", None)
    if epoll is not None:
        _adapt_epoll(epoll)


def _slice_selector(selector):
    if selector is None:
        return
    original = selector.select

    def select(self, timeout=None):
        if timeout is not None and timeout <= _SLICE:
            return original(self, timeout)
        return _in_slices(lambda seconds: original(self, seconds), timeout)

    selector.select = _like(select, original)


def _adapt_epoll(selector):
    original = selector.select

    def select(self, timeout=None):
        if timeout is None or timeout > 0:
            # It is ready for reading when one of its descriptors is ready for anything.
            wait_ready(self._selector.fileno(), _POLLIN, timeout)
            timeout = 0
        return original(self, timeout)

    selector.select = _like(select, original)


def _adapt_socket(module):
    for names, events in (
        (("recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into", "_accept"), _POLLIN),
        (("send", "sendall", "sendto", "sendmsg"), _POLLOUT),
    ):
        for name in names:
            original = getattr(module.socket, name, None)
            if original is not None:
                setattr(module.socket, name, _after_waiting(original, events))


def _after_waiting(original, events):
    def call(self, *arguments, **options):
        timeout = self.gettimeout()
        descriptor = self.fileno()
        if timeout != 0 and descriptor >= 0:
            wait_ready(descriptor, events, timeout)
        return original(self, *arguments, **options)

    return _like(call, original)


def _adapt_select(module):
    original = module.select

    def select(rlist, wlist, xlist, timeout=None, /):
        if timeout is not None and timeout <= _SLICE:
            return original(rlist, wlist, xlist, timeout)
        lists = tuple(rlist), tuple(wlist), tuple(xlist)
        ready = ([], [], [])

        def wait(seconds):
            nonlocal ready
            ready = original(*lists, seconds)
            return any(ready)

        _in_slices(wait, timeout)
        return ready

    module.select = _like(select, original)


def _adapt_os():
    for name in ("read", "readv"):
        _wait_before_reading(name)
    wait_for_child = os.waitpid

    def waitpid(pid, options, /):
        if options:
            return wait_for_child(pid, options)
        pause = 0.0005
        while True:
            found = wait_for_child(pid, os.WNOHANG)
            if found[0]:
                return found
            time.sleep(pause)
            pause = min(2 * pause, _SLICE)

    os.waitpid = _like(waitpid, wait_for_child)


def _wait_before_reading(name):
    original = getattr(os, name)

    def read(fd, length, /):
        if type(fd) is int and fd >= 0:
            wait_ready(fd, _POLLIN, None, True)
        return original(fd, length)

    setattr(os, name, _like(read, original))


def install():
    """Before modules of the user's are imported; those of ours that others wait in are adapted as they come."""
    adaptations = load("imports")["adaptations"]
    adaptations["threading"] = _adapt_threading
    adaptations["queue"] = _adapt_queue
    if _CALLS_GO_ON:
        adaptations["selectors"] = _adapt_selectors
        adaptations["socket"] = _adapt_socket
        _adapt_os()
        import select

        _adapt_select(select)
