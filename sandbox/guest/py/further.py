"""Makes an interpreter beside main what main is in a process of its own.

The loader adds to this namespace: `load`.
"""

import _thread
import os

_own_thread = _thread.get_ident()


def prepare(environment):
    """Before the session is opened. `environment` is the one its process was started with: what other
    interpreters have put into the C environment since is theirs."""
    variables = os.environ._data
    variables.clear()
    for item in environment:
        name, _, value = item.partition(b"=")
        variables[name] = value
    # Where threading asks which thread is the main one: of this interpreter, it is the one that runs cells.
    _thread._get_main_thread_ident = lambda: _own_thread
    load("waits")["install"]()
