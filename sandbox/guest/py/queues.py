"""Queues with the names and the manners of concurrent.interpreters: code for that ports by changing an import.

The loader adds to this namespace: `load`.
"""

import os
import queue
import threading

_messages = load("messages")
_Channel = _messages["Channel"]

# Of one without a bound of its own, whose messages are counted all the same.
_UNBOUNDED = 1 << 20

_lock = threading.RLock()
_flushing = {}  # Senders of which a thread sends what they keep, by their ids


class QueueError(RuntimeError):
    """What goes wrong with queues."""


class QueueEmpty(QueueError, queue.Empty):
    """Nothing came in time, or nothing waits."""


class QueueFull(QueueError, queue.Full):
    """There was no room in time, or there is none."""


class Queue(_Channel):
    """A Channel that is made by create_queue(), as concurrent.interpreters has them. Two that are the same queue are
    equal. What was put into one without a bound, and not received, is kept by who has put it: it is lost when his
    interpreter ends, or he closes the queue."""

    # A Sender of it that keeps what does not fit; not the queue, which would receive for ever.
    __slots__ = ("_id", "_keeper")

    def __new__(cls, *args, **kwargs):
        raise TypeError("queues are made by create_queue()")

    def __repr__(self):
        return f"{type(self).__name__}({self.id})"

    def __eq__(self, other):
        return self.id == other.id if isinstance(other, Queue) else NotImplemented

    def __hash__(self):
        return hash(self.id)

    @property
    def id(self):
        """A number that no other queue of this sandbox has meanwhile."""
        try:
            return self._id
        except AttributeError:
            self._id = os.fstat(self.fileno()).st_ino
            return self._id

    @property
    def maxsize(self):
        """How many messages may wait; 0: any number."""
        capacity = _Channel.maxsize.__get__(self)
        return 0 if capacity == _UNBOUNDED else capacity

    def empty(self):
        """Whether nothing waits."""
        return self.qsize() == 0

    def full(self):
        """Whether as many wait as may."""
        return 0 < self.maxsize <= self.qsize()

    def put(self, obj, block=True, timeout=None, *, transfer=()):
        """Sends a clone of the object. Waits while the queue has as many as it may: QueueFull where it may not wait,
        or the time is over."""
        if self.maxsize:
            return _Channel.put(self, obj, block, timeout, transfer=transfer)
        keeper = getattr(self, "_keeper", None)
        if keeper is None:
            try:
                return _Channel.put(self, obj, False, transfer=transfer)
            except QueueFull:
                keeper = self._keeper = _messages["port_end"](_messages["Sender"], self, True)
        if keeper._put_or_keep(obj, transfer):
            _flush(keeper)

    def put_nowait(self, obj):
        """put(obj, block=False)"""
        self.put(obj, False)

    def close(self):
        """Closes this end. Who waits at it gets ChannelClosed."""
        _Channel.close(self)
        keeper = getattr(self, "_keeper", None)
        if keeper is not None:
            keeper.close()


def _flush(kept):
    """Has a thread send what it keeps."""
    with _lock:
        if id(kept) not in _flushing:
            thread = threading.Thread(target=_run, args=(kept,), name="cloister queue", daemon=True)
            _flushing[id(kept)] = kept
            try:
                thread.start()
            except BaseException:
                del _flushing[id(kept)]
                raise


def _run(kept):
    try:
        while True:
            kept._flush()
            with _lock:
                if not kept._is_keeping():
                    del _flushing[id(kept)]
                    return
    except BaseException:
        _flushing.pop(id(kept), None)
        raise


def _after_fork():
    """In a fork of the program's own: the original sends what it keeps."""
    global _lock
    _lock = threading.RLock()
    for kept in _flushing.values():
        kept._drop_kept()
    _flushing.clear()


os.register_at_fork(after_in_child=_after_fork)


def create_queue(maxsize=0):
    """A new queue for interpreters of this sandbox, as that of concurrent.interpreters: for at most `maxsize`
    messages; 0 or less: for any number."""
    if maxsize >= _UNBOUNDED:
        raise ValueError(f"maxsize must be less than {_UNBOUNDED}")
    return _messages["new_channel"](Queue, maxsize if maxsize > 0 else _UNBOUNDED)


for _class in (Queue, QueueError, QueueEmpty, QueueFull):
    _class.__module__ = "cloister"
_messages["register_port"]("queue", Queue)
