"""The kernel's sandbox: made when it is needed, given up when it is lost, ended with the kernel. Thread-safe."""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING, Any, List

from .reaper import Reaper
from .settings import CELL_LIMITS, Settings

if TYPE_CHECKING:
    import cloister

_CREATE_TIMEOUT = 30.0
_CLOSE_TIMEOUT = 3.0
_SNAPSHOT_TTL = 4 * 3600.0


class Remote:
    """
    Attributes:
        limits: fields of cloister.Limits for new sandboxes and, of CELL_LIMITS, for each cell.
    """

    def __init__(self, settings: Settings, reaper: Reaper) -> None:
        self._settings = settings
        self._reaper = reaper
        self._lock = threading.RLock()
        self._client: cloister.Client | None = None
        self._info: cloister.ServerInfo | None = None
        self._sandbox: cloister.Sandbox | None = None
        self._wanted = settings.sandbox
        self._note = ""
        self._closed = False
        self.limits = dict(settings.limits)
        self._prepared = threading.Thread(target=self._prepare, name="prepare", daemon=True)
        self._prepared.start()

    def _prepare(self) -> None:
        """Beside the start of the kernel: imports, connection and sandbox."""
        with self._lock:
            try:
                self.sandbox()
            except Exception:
                pass  # the first cell tries again, and tells
        gc.freeze()
        gc.enable()

    @property
    def client(self) -> cloister.Client:
        """Raises what is wrong with the settings."""
        with self._lock:
            if self._client is None:
                import cloister

                self._client = cloister.Client(self._settings.server or None)
            return self._client

    @property
    def address(self) -> str:
        return str(self.client.address)

    @property
    def info(self) -> cloister.ServerInfo:
        """Raises ServiceError."""
        with self._lock:
            if self._info is None:
                self._info = self.client.info()
                maximum = self._info.maximum_limits
                for name in CELL_LIMITS:
                    self.limits.setdefault(name, getattr(maximum, name))
            return self._info

    @property
    def python_version(self) -> str:
        """Of the template; empty where no server tells."""
        self._prepared.join(_CREATE_TIMEOUT)
        with self._lock:
            templates = self._info.templates if self._info is not None else ()
        for template in templates:
            if self._settings.template in ("", template.name):
                return str(template.python_version)
        return ""

    def life(self) -> dict[str, float]:
        """ttl and idle_timeout within the server's bounds. The ttl is a lease: `renew()` extends it."""
        bounds = self.info.message.live_sandboxes
        idle = bounds.maximum_idle_timeout.ToTimedelta().total_seconds()
        wanted = self._settings.idle_timeout
        return {"ttl": min(self._settings.lease, bounds.maximum_ttl.ToTimedelta().total_seconds()),
                "idle_timeout": idle if wanted is None else wanted}

    def snapshot_ttl(self) -> float:
        return min(_SNAPSHOT_TTL, float(self.info.message.live_sandboxes.maximum_ttl.ToTimedelta().total_seconds()))

    def cell_limits(self) -> cloister.Limits:
        import cloister

        return cloister.Limits(**{name: value for name, value in self.limits.items() if name in CELL_LIMITS})

    @property
    def current(self) -> cloister.Sandbox | None:
        """The sandbox there is, if any; waits for the one that is made beside the kernel's start."""
        self._prepared.join(_CREATE_TIMEOUT)
        return self._sandbox

    def sandbox(self) -> cloister.Sandbox:
        """The sandbox; a fresh one where there is none. Raises ServiceError."""
        with self._lock:
            if self._sandbox is None:
                import cloister

                life = self.life()
                if self._wanted:
                    sandbox = self.client.open_sandbox(self._wanted)
                    sandbox.update(**life)
                    self._wanted = ""
                else:
                    sandbox = self.client.sandbox(
                        template=self._settings.template, limits=cloister.Limits(**self.limits), timeout=_CREATE_TIMEOUT, **life)
                self._adopt(sandbox)
            assert self._sandbox is not None
            return self._sandbox

    def _adopt(self, sandbox: cloister.Sandbox) -> None:
        self._reaper.add(sandbox.name)
        self._sandbox = sandbox
        if self._closed:  # the kernel has ended meanwhile
            self._end(sandbox)

    def lose(self, note: str) -> None:
        """The sandbox is gone. `note` is shown when there is a fresh one."""
        with self._lock:
            sandbox, self._sandbox = self._sandbox, None
            self._wanted = ""
            self._note = note
            if sandbox is not None:
                self._end(sandbox)

    def take_note(self) -> str:
        with self._lock:
            note, self._note = self._note, ""
            return note

    def replace(self, sandbox: cloister.Sandbox) -> None:
        """Goes on in that sandbox, and ends the one before."""
        with self._lock:
            before, self._note = self._sandbox, ""
            self._adopt(sandbox)
            if before is not None and before.name != sandbox.name:
                self._end(before)

    def renew(self) -> None:
        """Extends the lease."""
        sandbox = self._sandbox
        if sandbox is not None and not self._closed:
            sandbox.update(ttl=self.life()["ttl"])

    def _end(self, ended: Any) -> None:
        """Deletes a sandbox or a snapshot; where that fails, the reaper tries when the kernel ends."""
        import cloister

        try:
            ended.delete()
        except cloister.NotFound:
            pass
        except cloister.ServiceError:
            return
        self._reaper.remove(ended.name)

    def keep_snapshot(self, snapshot: cloister.Snapshot) -> None:
        self._reaper.add(snapshot.name)

    def end_snapshots(self, snapshots: List[cloister.Snapshot]) -> None:
        for snapshot in snapshots:
            self._end(snapshot)

    def close(self) -> None:
        """Ends the sandbox. One that is still being made is waited for a little; later its lease ends it."""
        self._closed = True
        self._prepared.join(_CLOSE_TIMEOUT)
        sandbox, self._sandbox = self._sandbox, None
        if sandbox is not None:
            self._end(sandbox)
