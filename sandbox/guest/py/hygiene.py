"""Renews, in a clone, what two clones of one zygote must not share.

`plan()` runs in the zygote after the warm-up and picks the renewals that its modules need; `renew()`
runs them in the clone. A module that is not loaded in the zygote starts afresh in each clone anyway.

All clones may have the same pid, for each is counted in its own pid namespace: what tells clones apart
must not be their pid.

Nothing to do for: `random` (its own at-fork hook seeds the global generator), `secrets` and
`os.urandom` (the kernel keeps the state). Cannot be renewed, because objects depend on it: the hash
seed and the layout of the address space; zygotes are replaced for that.
"""

import os
import sys


def _renew_uuid(module):
    # The node is random where no address can be read; the rest keeps successive ids apart.
    for name in ("_node", "_last_timestamp", "_last_timestamp_v6", "_last_timestamp_v7"):
        if hasattr(module, name):
            setattr(module, name, None)
    if hasattr(module, "_last_counter_v7"):
        module._last_counter_v7 = 0


def _renew_tempfile(module):
    # Seeds itself again only when the pid has changed.
    module._name_sequence = None


def _renew_openssl(module):
    # It seeds itself again when the pid is no longer the zygote's. Doing it for it costs most of a
    # millisecond, so only where the pid is no help.
    if os.getpid() == _zygote_pid:
        module.RAND_add(os.urandom(32), 32.0)


def _renew_numpy_random(module):
    module.seed()


def _renew_multiprocessing(module):
    # The secret with which processes of one program know each other.
    module.current_process().authkey = os.urandom(32)


RENEWALS = (
    ("uuid", _renew_uuid),
    ("tempfile", _renew_tempfile),
    ("_ssl", _renew_openssl),
    ("numpy.random", _renew_numpy_random),
    ("multiprocessing.process", _renew_multiprocessing),
)

_planned = []
_zygote_pid = None


def plan():
    global _zygote_pid
    _zygote_pid = os.getpid()
    for name, action in RENEWALS:
        module = sys.modules.get(name)
        if module is not None:
            _planned.append((action, module))


def _move_in(_):
    """Tells programs where their files go: the current directory, and `tmp` beside it."""
    workspace = os.getcwd()
    os.environ["HOME"] = workspace
    os.environ["TMPDIR"] = os.path.join(os.path.dirname(workspace), "tmp")
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None:
        tempfile.tempdir = None


def plan_moving():
    """For sandboxes without mounts of their own, whose directories have different names."""
    _planned.append((_move_in, None))


def renew():
    for action, module in _planned:
        action(module)


def renew_copy():
    """In a copy of a live sandbox: of whatever its programs have imported meanwhile.

    Its pid is the one its parent had, so nothing has noticed. What programs did to these modules must not
    keep the others from being renewed.
    """
    for name, action in RENEWALS:
        module = sys.modules.get(name)
        if module is None:
            continue
        try:
            action(module)
            if name == "_ssl":
                module.RAND_add(os.urandom(32), 32.0)
            if name == "uuid":
                # The library behind it keeps what it chose as its node for good.
                module._generate_time_safe = None
        except BaseException:
            continue
