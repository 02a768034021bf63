"""`concurrent.futures` on sandboxes."""

from .executor import Executor

__all__ = ["Executor"]
