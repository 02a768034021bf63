"""The kernel: its sockets, and who answers what.

The main thread serves the shell channel, one request after another; a cell is one of them. The control channel has a thread of
its own, so that interrupt and shutdown are heard while a cell runs; so have heartbeat and stdin.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from typing import Any, Callable, Dict, List

import zmq

from . import __version__, lookup
from .cell import CellRunner
from .history import History
from .iopub import IoPub
from .keeper import Keeper
from .reaper import Reaper
from .remote import Remote
from .running import RunningCell
from .settings import Settings
from .snapshots import Snapshots
from .stdin import StdinChannel
from .wire import PROTOCOL_VERSION, Message, Wire, WireError

Socket = Any


def run(connection_file: str, settings: Settings, reaper: Reaper) -> int:
    """Serves until it is told to end. Returns the exit code."""
    try:
        with open(connection_file, encoding="utf-8") as file:
            connection = json.load(file)
        kernel = Kernel(connection, settings, reaper)
    except (OSError, ValueError, KeyError, zmq.ZMQError) as error:
        print(f"cloister_kernel: {connection_file}: {error}", file=sys.stderr)
        return 1
    kernel.serve()
    # gRPC's threads may still be about; nothing is left to be done that they could hold up.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


class Kernel:
    def __init__(self, connection: Dict[str, Any], settings: Settings, reaper: Reaper) -> None:
        self._connection = connection
        self._wire = Wire(connection.get("key", ""), connection.get("signature_scheme") or "hmac-sha256")
        # Readable from the moment the kernel is to end, and never read: all threads see it.
        self._stop_reader, self._stop_writer = os.pipe()
        self._context = zmq.Context()
        # First of all: a front end that finds nobody tries again only after 100 ms.
        self._shell, self._control, stdin, self._heartbeat = [
            self._bind(zmq.ROUTER, f"{name}_port") for name in ("shell", "control", "stdin", "hb")]
        iopub = self._bind(zmq.PUB, "iopub_port")
        self._remote = Remote(settings, reaper)  # the slow part of a start runs beside the rest
        self._iopub = IoPub(iopub, self._wire)
        self._stdin = StdinChannel(stdin, self._wire, self._stop_reader)
        self._history = History()
        self._snapshots = Snapshots(self._remote, settings.snapshots)
        self._running = RunningCell(settings.grace)
        self._cells = CellRunner(self._remote, self._snapshots, self._iopub, self._stdin, self._running, self._history,
                                 settings.active_content)
        self._lease = settings.lease
        self._answers: Dict[str, Callable[[Message], Dict[str, Any] | None]] = {
            "execute_request": self._cells.execute,
            "complete_request": self._complete,
            "inspect_request": lambda message: self._ask(
                lookup.inspect, message, {"status": "ok", "found": False, "data": {}, "metadata": {}}),
            "is_complete_request": lambda message: self._ask(lookup.is_complete, message, {"status": "unknown"}),
            "history_request": lambda message: {"status": "ok", "history": self._history.answer(message.content)},
            "kernel_info_request": self._kernel_info,
            "connect_request": lambda message: {
                "status": "ok", **{name: port for name, port in self._connection.items() if name.endswith("_port")}},
            "comm_info_request": lambda message: {"status": "ok", "comms": {}},
            "comm_open": self._refuse_comm,
            "comm_msg": lambda message: None,
            "comm_close": lambda message: None,
            "interrupt_request": self._interrupt,
            "shutdown_request": self._shutdown,
        }

    def _bind(self, kind: int, port: str) -> Socket:
        socket = self._context.socket(kind)
        socket.linger = 1000
        if kind == zmq.PUB:
            socket.sndhwm = 0  # what a cell writes is bounded by its limit, and no piece of it is to be dropped
        else:
            socket.router_handover = 1
        place = self._connection
        between = "-" if place.get("transport") == "ipc" else ":"
        socket.bind(f"{place.get('transport', 'tcp')}://{place['ip']}{between}{place[port]}")
        return socket

    # ---- serving -----------------------------------------------------------------------------------------

    def serve(self) -> None:
        signal.signal(signal.SIGINT, lambda number, frame: self._running.interrupt())
        signal.signal(signal.SIGTERM, lambda number, frame: self.stop())
        Keeper(self._remote, self._lease, self._stop_reader, self.stop)
        threading.Thread(target=self._echo, name="heartbeat", daemon=True).start()
        control = threading.Thread(target=self._serve, args=(self._control,), name="control", daemon=True)
        control.start()
        self._iopub.publish("status", {"execution_state": "starting"}, {})
        self._serve(self._shell)
        self._snapshots.close()
        self._remote.close()
        control.join()
        self._stdin.join()
        self._iopub.close()
        self._context.term()

    def stop(self) -> None:
        """Ends the kernel, from any thread or signal handler."""
        self._running.stop()
        os.write(self._stop_writer, b".")

    def _serve(self, socket: Socket) -> None:
        poller = zmq.Poller()
        poller.register(socket, zmq.POLLIN)
        poller.register(self._stop_reader, zmq.POLLIN)
        while True:
            ready = dict(poller.poll())
            if self._stop_reader in ready:
                break
            self._answer(socket, socket.recv_multipart())
        socket.close(linger=1000)

    def _echo(self) -> None:
        try:
            zmq.proxy(self._heartbeat, self._heartbeat)
        except zmq.ZMQError:
            self._heartbeat.close(linger=0)

    def _answer(self, socket: Socket, frames: Any, abort: bool = False) -> None:
        try:
            message = self._wire.unpack(frames)
        except WireError as error:
            print(f"cloister_kernel: dropped {error}", file=sys.stderr)
            return
        answer = self._answers.get(message.kind)
        self._iopub.publish("status", {"execution_state": "busy"}, message.header)
        reply: Dict[str, Any] | None = None
        try:
            if abort and message.kind == "execute_request":
                reply = {"status": "aborted"}
            elif answer is not None:
                reply = answer(message)
        except Exception as error:  # a bug of ours: it costs this request and not the notebook
            traceback.print_exc()
            reply = {"status": "error", "ename": type(error).__name__, "evalue": str(error), "traceback": [],
                     "execution_count": self._cells.number}
        behind = []
        if message.kind == "execute_request" and reply is not None and reply.get("status") == "error":
            # Those sent behind it before it had failed are not run; so what is there is taken before that is told.
            behind = self._queued() if message.content.get("stop_on_error", True) else []
        if reply is not None:
            kind = message.kind.replace("_request", "_reply")
            socket.send_multipart(self._wire.pack(kind, reply, message.header, message.identities))
        self._iopub.publish("status", {"execution_state": "idle"}, message.header)
        for frames in behind:
            self._answer(socket, frames, abort=True)

    def _queued(self) -> List[List[bytes]]:
        queued = []
        while True:
            try:
                queued.append(self._shell.recv_multipart(zmq.NOBLOCK))
            except zmq.Again:
                return queued

    # ---- answers -----------------------------------------------------------------------------------------

    def _ask(self, question: Callable[[Remote, Dict[str, Any]], Dict[str, Any]], message: Message,
             otherwise: Dict[str, Any]) -> Dict[str, Any]:
        """What is asked of the sandbox beside cells; its reasons not to tell are nothing for a front end."""
        import cloister

        try:
            return question(self._remote, message.content)
        except (cloister.CloisterError, ValueError):
            return otherwise

    def _complete(self, message: Message) -> Dict[str, Any]:
        return self._ask(lookup.complete, message, lookup.nothing_to_complete(message.content))

    def _kernel_info(self, message: Message) -> Dict[str, Any]:
        version = self._remote.python_version
        where = f"in a sandbox of {self._address()}" if version else f"no server answers at {self._address()}"
        return {
            "status": "ok", "protocol_version": PROTOCOL_VERSION, "implementation": "cloister_kernel",
            "implementation_version": __version__, "debugger": False,
            "banner": f"Python {version} (Cloister): {where}; %help lists what is not Python",
            "help_links": [{"text": "Python", "url": "https://docs.python.org/3"}],
            "language_info": {
                "name": "python", "version": version or "3", "mimetype": "text/x-python", "file_extension": ".py",
                "codemirror_mode": {"name": "ipython", "version": 3}, "pygments_lexer": "ipython3",
                "nbconvert_exporter": "python"},
        }

    def _address(self) -> str:
        try:
            return self._remote.address
        except Exception as error:  # settings that the client refuses; each cell tells
            return str(error)

    def _refuse_comm(self, message: Message) -> None:
        # Of no target that we know: the specification wants it closed again.
        self._iopub.publish("comm_close", {"comm_id": message.content.get("comm_id", ""), "data": {}}, message.header)

    def _interrupt(self, message: Message) -> Dict[str, Any]:
        self._running.interrupt()
        return {"status": "ok"}

    def _shutdown(self, message: Message) -> Dict[str, Any]:
        self.stop()
        content = {"status": "ok", "restart": bool(message.content.get("restart"))}
        self._iopub.publish("shutdown_reply", content, message.header)
        return content
