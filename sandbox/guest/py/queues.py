"""Queues with the names and the manners of concurrent.interpreters: code for that ports by changing an import.

The loader adds to this namespace: `load`.
"""

import os
import queue

_messages = load("messages")
_Channel = _messages["Channel"]

# Of one without a bound: more than sockets hold, and what waits is counted all the same.
_UNBOUNDED = 1 << 20


class QueueError(RuntimeError):
    """What goes wrong with queues."""


class QueueEmpty(QueueError, queue.Empty):
    """Nothing came in time, or nothing waits."""


class QueueFull(QueueError, queue.Full):
    """There was no room in time, or there is none."""


class Queue(_Channel):
    """A Channel that is made by create_queue(), as concurrent.interpreters has them. Two that are the same queue are
    equal."""

    __slots__ = ("_id",)

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
        """How many messages may wait; 0: as many as the kernel's buffers hold."""
        capacity = _Channel.maxsize.__get__(self)
        return 0 if capacity == _UNBOUNDED else capacity

    def empty(self):
        """Whether nothing waits."""
        return self.qsize() == 0

    def full(self):
        """Whether as many wait as may."""
        return 0 < self.maxsize <= self.qsize()


def create_queue(maxsize=0):
    """A new queue for interpreters of this sandbox, as that of concurrent.interpreters: for at most `maxsize`
    messages; 0 or less: without a bound of its own, but put() waits where the kernel's buffer is full, which holds
    some hundred small messages."""
    if maxsize >= _UNBOUNDED:
        raise ValueError(f"maxsize must be less than {_UNBOUNDED}")
    return _messages["new_channel"](Queue, maxsize if maxsize > 0 else _UNBOUNDED)


for _class in (Queue, QueueError, QueueEmpty, QueueFull):
    _class.__module__ = "cloister"
_messages["register_port"]("queue", Queue)
