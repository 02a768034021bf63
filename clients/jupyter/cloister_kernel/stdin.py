"""The questions of input() and getpass to the front end, and its answers.

A thread owns the socket, so that nobody waits for an answer that may never come: the cell goes on being followed, and when it
ends, by an interrupt or a limit, its question is withdrawn.
"""

from __future__ import annotations

import collections
import os
import threading
from typing import Any, Callable, Deque, List, Tuple

import zmq

from .wire import Message, Wire, WireError

Answer = Callable[[str], None]


class StdinChannel:
    def __init__(self, socket: zmq.Socket[bytes], wire: Wire, stop_descriptor: int) -> None:
        self._socket = socket
        self._wire = wire
        self._stop = stop_descriptor
        self._wake_reader, self._wake_writer = os.pipe()
        self._lock = threading.Lock()
        self._outgoing: Deque[List[bytes]] = collections.deque()
        self._asked: Tuple[str, Answer] | None = None
        self._thread = threading.Thread(target=self._run, name="stdin", daemon=True)
        self._thread.start()

    def ask(self, prompt: str, password: bool, request: Message, answer: Answer) -> None:
        """Asks the front end that sent `request`; `answer` is called in another thread, at most once."""
        frames = self._wire.pack("input_request", {"prompt": prompt, "password": password}, request.header, request.identities)
        with self._lock:
            self._outgoing.append(frames)
            self._asked = str(request.header.get("session", "")), answer
        os.write(self._wake_writer, b".")

    def withdraw(self) -> None:
        """An answer that comes from now on is nobody's."""
        with self._lock:
            self._asked = None

    def join(self) -> None:
        """Once `stop_descriptor` is readable."""
        self._thread.join()

    def _run(self) -> None:
        poller = zmq.Poller()
        for source in (self._socket, self._wake_reader, self._stop):
            poller.register(source, zmq.POLLIN)
        while True:
            ready = dict(poller.poll())
            if self._stop in ready:
                break
            if self._wake_reader in ready:
                os.read(self._wake_reader, 1)
                with self._lock:
                    frames = self._outgoing.popleft()
                self._socket.send_multipart(frames)
            if self._socket in ready:
                self._take(self._socket.recv_multipart())
        self._socket.close(linger=0)

    def _take(self, frames: List[bytes]) -> None:
        try:
            message = self._wire.unpack(frames)
        except WireError:
            return
        value = message.content.get("value")
        if message.kind != "input_reply" or not isinstance(value, str):
            return
        with self._lock:
            asked = self._asked
            if asked is None or asked[0] != message.header.get("session"):
                return
            self._asked = None
        asked[1](value)
