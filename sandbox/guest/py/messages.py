"""Messages: the inbox, posts, and channels between interpreters.

The loader adds to this namespace: `load`, and `message_functions`, which gives what this is made of
(message_functions.h).
"""

import os
import time
from _thread import RLock, TIMEOUT_MAX

globals().update(message_functions())


class ChannelClosed(ConnectionError):
    """Whoever was to receive, or to answer, is gone; or nothing more can come."""


ChannelClosed.__module__ = "cloister"


def time_left(timeout):
    """A function that says how much of it is left, in seconds; None for no end."""
    if timeout is None:
        return lambda: None
    deadline = time.monotonic() + timeout
    return lambda: max(0, deadline - time.monotonic())


class OneAtATime:
    """A lock for what waits. Signal handlers and finalizers run in the midst of that, in the same thread, and
    would wait for themselves: they are told instead."""

    __slots__ = ("_lock", "_what")

    def __init__(self, what):
        self._lock = RLock()
        self._what = what

    def acquire(self, timeout):
        """Whether it was there in time."""
        if self._lock._is_owned():
            raise RuntimeError(f"{self._what} is under way in this thread, and this came in the midst of it")
        return self._lock.acquire(True, -1 if timeout is None else min(max(timeout, 0), TIMEOUT_MAX))

    def release(self):
        self._lock.release()


class _Ends:
    """What all of them have."""

    __slots__ = ()

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def __repr__(self):
        name = type(self).__qualname__
        return f"<cloister.{name} closed>" if self.closed else f"<cloister.{name} maxsize={self.maxsize}>"


class _Receives(_Ends):
    """What can be waited for in more ways than `get`."""

    __slots__ = ()

    async def get_async(self):
        """get(), for coroutines."""
        while True:
            found = self._poll()
            if found is not None:
                return found[0]
            await _readable(self)

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return self.get()
        except ChannelClosed:
            raise StopIteration from None

    def __aiter__(self):
        return self

    async def __anext__(self):
        try:
            return await self.get_async()
        except ChannelClosed:
            raise StopAsyncIteration from None


_uses_loops = False


def _readable(receiver):
    global _uses_loops
    _uses_loops = True
    return load("message_waits")["readable"](receiver._open() if type(receiver) is Inbox else receiver)


class Sender(_Ends, SenderType):
    """The end of a Channel that messages are put into."""

    __slots__ = ("__weakref__",)


class Receiver(_Receives, ReceiverType):
    """The end of a Channel that messages come out of. What several have of one Channel shares its messages: each
    goes to one of them."""

    __slots__ = ("__weakref__",)


class Channel(_Receives, ChannelType):
    """A queue between interpreters of one sandbox, with the methods of queue.Queue. Messages are clones.

    Of `capacity` messages at most; 0: as many as the kernel's buffer holds, some hundred small ones. A Channel, and
    its single ends, can be sent in messages, and the receiver has the very same channel then. It is closed for
    receivers when nobody has a Channel or `sender` of it any more, and for senders when nobody has a Channel or
    `receiver`.

    With a `name` it is the one of that name, in all interpreters of the sandbox: whoever asks first makes it, and
    ValueError where it was made with another capacity than is asked for. It stays, with what is in it, until
    remove_channel() or the sandbox's end, though all who have it close theirs."""

    __slots__ = ("__weakref__",)

    @property
    def sender(self):
        """A new Sender of this Channel."""
        return port_end(Sender, self, True)

    @property
    def receiver(self):
        """A new Receiver of this Channel."""
        return port_end(Receiver, self, False)


def remove_channel(name):
    """Makes the name of a Channel free again. Who has that Channel goes on using it; LookupError where there is
    none."""
    remove_named_channel(name)


for _class in (Sender, Receiver, Channel):
    _class.__module__ = "cloister"
    register_port(_class.__qualname__.lower(), _class)


# How long the first use of the inbox waits for the host where it may not wait at all for a message.
_OPEN_SECONDS = 1.0


class Inbox:
    """What others have sent to this interpreter: its client, and other interpreters of its sandbox. From each of
    them messages come in the order in which they were sent. The first use of it asks the host, which takes a
    moment."""

    def __init__(self):
        self._forget()

    def __repr__(self):
        return "<cloister.inbox>"

    def _open(self, timeout=None):
        """TimeoutError where the host does not give it in time."""
        if self._receiver is None:
            left = time_left(timeout)
            if not self._lock.acquire(left()):
                raise TimeoutError("the inbox has not been opened")
            try:
                if self._receiver is None:
                    receiver = open_inbox(Receiver, left())
                    # From now on they are found first.
                    self.get, self.get_nowait = receiver.get, receiver.get_nowait
                    self._poll = receiver._poll
                    self._receiver = receiver
            finally:
                self._lock.release()
        return self._receiver

    def _forget(self):
        self._lock = OneAtATime("the first use of the inbox")
        self._receiver = None
        for name in ("get", "get_nowait", "_poll"):
            self.__dict__.pop(name, None)

    def get(self, block=True, timeout=None):
        """The next message. Waits for it: queue.Empty where it may not, or the time is over. DataCloneError for a
        message that cannot be read here; the next one comes all the same."""
        left = time_left(timeout)
        try:
            receiver = self._open(left() if block else _OPEN_SECONDS)
        except TimeoutError:
            raise load("queues")["QueueEmpty"] from None
        return receiver.get(block, left())

    def get_nowait(self):
        """get(block=False)"""
        return self.get(block=False)

    def _poll(self):
        return self._open()._poll()

    def empty(self):
        """Whether get() would wait now."""
        try:
            return self._open(_OPEN_SECONDS).empty()
        except TimeoutError:
            return True

    def fileno(self):
        """A descriptor that can be read when there are messages, to wait for with select or asyncio."""
        return self._open().fileno()

    get_async = _Receives.get_async
    __iter__ = _Receives.__iter__
    __next__ = _Receives.__next__
    __aiter__ = _Receives.__aiter__
    __anext__ = _Receives.__anext__


Inbox.__module__ = "cloister"
inbox = Inbox()

def _new_posts_lock():
    return OneAtATime("a post to the client")


_posts_lock = _new_posts_lock()
_ports = {}  # by the name of an interpreter


def _post_to(name, value, timeout, transfer):
    port = _ports.get(name)
    if port is None:
        return _open_and_post(name, value, timeout, transfer, False)
    left = time_left(timeout) if timeout is not None else None
    try:
        return port._post(value, timeout, transfer=transfer)
    except ChannelClosed:
        _ports.pop(name, None)
    # It may have been started again.
    _open_and_post(name, value, left and left(), transfer, True)


def _open_and_post(name, value, timeout, transfer, was_there):
    left = time_left(timeout)
    try:
        port = open_port(Sender, name, left())
    except LookupError:
        if not was_there:
            raise
        raise ChannelClosed(f"the interpreter {name} has ended") from None
    _ports[name] = port
    port._post(value, left(), transfer=transfer)


def post(value, to=None, timeout=None, transfer=()):
    """Sends a clone of the value: to the client of this interpreter, or into the inbox of another interpreter
    of the sandbox, by its name, or into a Channel. Waits while the receiver is full: TimeoutError where the time is
    over. DataCloneError where the value cannot be sent, LookupError where there is no such interpreter,
    ChannelClosed where it has ended. What is in `transfer` is the receiver's alone from then on."""
    if type(to) is str:
        _post_to(to, value, timeout, tuple(transfer))
    elif to is None:
        if transfer:
            raise ValueError("nothing can be transferred to a client")
        post_to_client(value, timeout, _posts_lock)
    elif isinstance(to, (Channel, Sender)):
        to._post(value, timeout, transfer=transfer)
    else:
        name = to if isinstance(to, str) else getattr(to, "name", None)
        if not isinstance(name, str):
            raise TypeError(f"to is the name of an interpreter, or a Channel, not {type(to).__name__}")
        _post_to(name, value, timeout, tuple(transfer))


def on_message(function):
    """Has the function called with each message of the inbox, between cells and while a cell awaits; None ends
    that. What it raises is shown on stderr. A coroutine function's coroutines run as tasks."""
    global _uses_loops
    _uses_loops = True
    load("message_waits")["on_message"](function)


def _after_fork():
    """In a fork of the program's own, which has no mailbox, and in a copy of the sandbox, which opens a new one."""
    global _posts_lock
    _posts_lock = _new_posts_lock()
    forget_other_threads()
    close_mailbox()
    _ports.clear()
    inbox._forget()
    if _uses_loops:
        load("message_waits")["reopen"]()


os.register_at_fork(after_in_child=_after_fork)
