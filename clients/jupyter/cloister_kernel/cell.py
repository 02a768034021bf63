"""Runs a cell: an execute_request becomes an execution in the sandbox, and its events Jupyter's messages."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any, Dict, OrderedDict, Tuple

from . import lookup, magics
from .history import History
from .iopub import IoPub
from .remote import Remote
from .rich import jupyter_bundle
from .running import RunningCell
from .snapshots import Snapshots
from .stdin import StdinChannel
from .wire import Message

if TYPE_CHECKING:
    import cloister

_FRESH = "Cloister: this is a fresh sandbox; variables and files from before are gone.\n"
_LOST = ("The sandbox has ended, and all variables and files with it. The next cell runs in a fresh one"
         "{}.")
# What says that the sandbox is gone, and not something else that was named.
_GONE = frozenset(["SANDBOX_NOT_FOUND", "SANDBOX_EXPIRED", "SANDBOX_LOST", "INTERPRETER_NOT_FOUND", "INTERPRETER_LOST"])
# Executions whose late output still finds its cell.
_MAX_PARENTS = 64
_MAX_EXPRESSIONS = 64

Reply = Dict[str, Any]


class CellError(Exception):
    """What a front end shows as the cell's error."""

    def __init__(self, name: str, value: str, traceback: str = "") -> None:
        super().__init__(value)
        self.content = {"ename": name, "evalue": value, "traceback": (traceback or f"{name}: {value}").rstrip("\n").split("\n")}


class CellRunner:
    """Of the shell's thread."""

    def __init__(
        self, remote: Remote, snapshots: Snapshots, iopub: IoPub, stdin: StdinChannel, running: RunningCell, history: History,
        active_content: bool,
    ) -> None:
        self._remote = remote
        self._snapshots = snapshots
        self._iopub = iopub
        self._stdin = stdin
        self._running = running
        self._history = history
        self._active = active_content
        self._parents: OrderedDict[str, Dict[str, Any]] = collections.OrderedDict()
        self._is_doubtful = False
        self.number = 0
        """Of the last cell."""

    def execute(self, request: Message) -> Reply:
        """The content of the execute_reply."""
        content = request.content
        silent = bool(content.get("silent"))
        store_history = not silent and bool(content.get("store_history", True))
        self._running.open()
        try:
            reply = self._execute(request, str(content.get("code", "")), silent, store_history)
            expressions = content.get("user_expressions")
            reply["user_expressions"] = self._evaluate(expressions) if isinstance(expressions, dict) else {}
        except CellError as error:
            self._iopub.publish("error", error.content, request.header)
            reply = {"status": "error", **error.content}
        finally:
            self._running.close()
            self._stdin.withdraw()
        return {"execution_count": self.number, "payload": [], "user_expressions": {}, **reply}

    def _execute(self, request: Message, code: str, silent: bool, store_history: bool) -> Reply:
        asked = magics.question(code)
        if asked is not None:
            return self._page(request, *asked)
        try:
            found, rest = magics.split(code)
        except magics.MagicError as error:
            raise CellError("MagicError", str(error)) from None
        if found and not rest:
            self._show_input(request, code, silent, self.number)
        for name, argument in found:
            self._run_magic(request, name, argument)
        if found and not rest:
            return {"status": "ok"}
        self._snapshots.cell_begins()
        try:
            return self._run(request, code, rest, silent, store_history)
        finally:
            self._snapshots.cell_ended(self.number + 1)

    # ---- for the kernel ----------------------------------------------------------------------------------

    def _page(self, request: Message, name: str, with_source: bool) -> Reply:
        self._show_input(request, str(request.content.get("code", "")), False, self.number)
        text = self._told(lambda: lookup.describe(self._remote, name, len(name), with_source))
        page = {"source": "page", "data": {"text/plain": text or f"nothing is known of {name}"}, "start": 0}
        return {"status": "ok", "payload": [page]}

    def _run_magic(self, request: Message, name: str, argument: str) -> None:
        notebook = magics.Notebook(self._remote, self._snapshots, self.number)
        try:
            text = self._told(lambda: magics.run(name, argument, notebook))
        except magics.MagicError as error:
            raise CellError("MagicError", str(error)) from None
        self.number = notebook.number
        self._iopub.stream("stdout", text, request.header)

    def _told(self, action: Any) -> Any:
        """What `action` returns; what the service cannot do as the cell's error."""
        import cloister

        try:
            return action()
        except (cloister.CloisterError, OSError, ValueError) as error:
            if getattr(error, "reason", "") in _GONE:
                raise self._lost("SandboxLost", str(error)) from None
            raise CellError(type(error).__name__, str(error)) from None

    def _show_input(self, request: Message, code: str, silent: bool, number: int) -> None:
        if not silent:
            self._iopub.publish("execute_input", {"code": code, "execution_count": number}, request.header)

    # ---- in the sandbox ----------------------------------------------------------------------------------

    def _run(self, request: Message, code: str, rest: str, silent: bool, store_history: bool) -> Reply:
        import cloister

        while True:
            is_doubtful, self._is_doubtful = self._is_doubtful, False
            try:
                sandbox = self._remote.sandbox()
                note = self._remote.take_note()
                if note:
                    self._snapshots.forget()
                    self._iopub.stream("stderr", note, request.header)
                result = self._follow(sandbox, request, code, rest, silent, store_history)
            except (cloister.CloisterError, OSError, ValueError) as error:
                if getattr(error, "reason", "") in _GONE:
                    lost = self._lost("SandboxLost", f"{error}; this cell was not run")
                    if is_doubtful and isinstance(error, cloister.NotFound):
                        continue  # as the cell before has told; nothing of this one ran
                    raise lost from None
                self._is_doubtful = isinstance(error, (cloister.Unavailable, cloister.Disconnected))
                raise CellError(type(error).__name__, str(error)) from None
            if result is None:
                raise CellError("KernelStopped", "the kernel was stopped while the cell ran")
            return self._conclude(request, code, result, silent, store_history)

    def _follow(
        self, sandbox: cloister.Sandbox, request: Message, code: str, rest: str, silent: bool, store_history: bool
    ) -> cloister.Result | None:
        """Runs it and publishes what comes; None where the kernel was stopped."""
        import cloister

        execution = sandbox.stream(
            rest.encode("utf-8", "surrogatepass"), rich=True, silent=silent, store_history=store_history,
            allow_input=bool(request.content.get("allow_stdin")), limits=self._remote.cell_limits())
        self._running.follow(execution)
        with execution:
            for event in execution:
                if isinstance(event, cloister.Output):
                    self._iopub.stream(event.stream, event.text, request.header)
                elif isinstance(event, cloister.Started):
                    self._running.started()
                    self.number = event.execution_count or self.number
                    self._remember(event.execution, request.header)
                    self._show_input(request, code, silent, self.number)
                elif isinstance(event, cloister.InputRequested):
                    self._ask(execution, event, request)
                elif isinstance(event, cloister.LateOutput):
                    self._show(event.what, self._parents.get(event.execution, request.header))
                elif isinstance(event, cloister.Finished):
                    return event.result
                else:
                    self._show(event, request.header)
        return None

    def _remember(self, execution: str, header: Dict[str, Any]) -> None:
        self._parents[execution] = header
        if len(self._parents) > _MAX_PARENTS:
            self._parents.popitem(last=False)

    def _show(self, event: Any, header: Dict[str, Any]) -> None:
        import cloister

        if isinstance(event, cloister.Output):
            self._iopub.stream(event.stream, event.text, header)
        elif isinstance(event, cloister.ClearOutput):
            self._iopub.publish("clear_output", {"wait": event.wait}, header)
        elif isinstance(event, cloister.Display):
            data, metadata = self._bundle(event.bundle, header)
            transient = {"display_id": event.display_id} if event.display_id else {}
            kind = "update_display_data" if event.is_update else "display_data"
            self._iopub.publish(kind, {"data": data, "metadata": metadata, "transient": transient}, header)

    def _bundle(self, bundle: Any, header: Dict[str, Any]) -> Tuple[Dict[str, Any], Dict[str, Any]]:
        data, metadata, notes = jupyter_bundle(bundle, self._active)
        if notes:
            self._iopub.stream("stderr", f"Cloister: left out {', '.join(notes)}\n", header)
        return data, metadata

    def _ask(self, execution: cloister.Execution, event: cloister.InputRequested, request: Message) -> None:
        import cloister

        def answer(text: str) -> None:
            try:
                execution.send_input(text, event.number)
            except cloister.InvalidRequest as error:
                self._iopub.stream("stderr", f"Cloister: {error}\n", request.header)
                execution.send_input(None, event.number)
            except cloister.CloisterError:
                pass  # the cell has ended, and tells why

        self._stdin.ask(event.prompt, event.is_password, request, answer)

    # ---- its end -----------------------------------------------------------------------------------------

    def _conclude(self, request: Message, code: str, result: Any, silent: bool, store_history: bool) -> Reply:
        outcome = result.outcome
        bundle = None
        if outcome.kind.name == "SUCCEEDED" and not silent:
            bundle = result.value
        if store_history:
            self._history.add(self.number, code, bundle.text if bundle is not None else None)
        if outcome.kind.name != "SUCCEEDED":
            raise self._error(outcome)
        if bundle is not None:
            data, metadata = self._bundle(bundle, request.header)
            content = {"execution_count": self.number, "data": data, "metadata": metadata}
            self._iopub.publish("execute_result", content, request.header)
        return {"status": "ok"}

    def _error(self, outcome: Any) -> CellError:
        exception = outcome.exception
        if exception is not None:
            self._iopub.drop_traceback(exception.traceback)
        if not outcome.state_preserved:
            return self._lost(_title(outcome.kind.name), outcome.detail)
        if outcome.kind.name == "EXITED":
            return CellError("SystemExit", str(outcome.exit_code))
        if exception is not None and outcome.kind.name in ("RAISED", "INTERRUPTED"):
            return CellError(exception.type, exception.message, exception.traceback)
        name, text = _title(outcome.kind.name), f"{outcome.detail}; variables and files are kept"
        where = exception.traceback if exception is not None else ""
        return CellError(name, text, f"{where}{name}: {text}")

    def _lost(self, name: str, why: str) -> CellError:
        self._remote.lose(_FRESH)
        kept = self._snapshots.numbers()
        back = f", unless it is %rewind: that goes back to the state before cell {kept[-1]}" if kept else ""
        text = _LOST.format(back)
        return CellError(name, f"{why}. {text}", f"{name}: {why}\n{text}")

    def _evaluate(self, expressions: Dict[str, Any]) -> Dict[str, Any]:
        """user_expressions: values that a front end wants with the reply."""
        answers: Dict[str, Any] = {}
        for name, code in list(expressions.items())[:_MAX_EXPRESSIONS]:
            try:
                answers[name] = self._value_of(str(code))
            except CellError as error:
                answers[name] = {"status": "error", **error.content}
        return answers

    def _value_of(self, code: str) -> Reply:
        result = self._told(lambda: self._remote.sandbox().run(
            code.encode("utf-8", "surrogatepass"), rich=True, store_history=False, limits=self._remote.cell_limits()))
        if not result.ok:
            raise self._error(result.outcome)
        data, metadata, _ = jupyter_bundle(result.value, self._active) if result.value is not None else ({}, {}, [])
        return {"status": "ok", "data": data, "metadata": metadata}


def _title(kind: str) -> str:
    """MEMORY_LIMIT is MemoryLimit."""
    return "".join(part.capitalize() for part in kind.split("_"))
