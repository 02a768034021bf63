"""Adapts the modules to a session that know nothing of one, when they are imported.

The loader adds to this namespace: `load`, `getpass`.
"""

import os
import sys


def _adapt_asyncio(module):
    load("event_loop")["adapt"](module)


def _adapt_getpass(module):
    module.getpass = getpass


# Before watch() others may add to it.
adaptations = {"asyncio": _adapt_asyncio, "getpass": _adapt_getpass}


class _Watch:
    """Finds no module itself; has those found that are to be adapted."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        adapt = adaptations.get(name)
        if adapt is None:
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        if spec is not None:
            _adapt_after_loading(spec.loader, adapt)
        return spec


def _adapt_after_loading(loader, adapt):
    load_module = loader.exec_module

    def exec_module(module):
        load_module(module)
        adapt(module)

    loader.exec_module = exec_module


def _choose_figures():
    """Matplotlib shows figures through us unless told otherwise."""
    backend = "module://cloister.figures"
    os.environ.setdefault("MPLBACKEND", backend)
    matplotlib = sys.modules.get("matplotlib")
    # It has read the variable by now.
    if matplotlib is not None and os.environ["MPLBACKEND"] == backend:
        matplotlib.rcParams["backend"] = backend


def watch():
    for name, adapt in adaptations.items():
        module = sys.modules.get(name)
        if module is not None:
            adapt(module)
    sys.meta_path.insert(0, _Watch)
    _choose_figures()
