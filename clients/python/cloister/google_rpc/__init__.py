"""The two files of google.rpc that errors are described with.

Where googleapis-common-protos is installed, its modules are taken: a process can have each of these files only once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .generated import error_details_pb2, status_pb2
else:
    try:
        from google.rpc import error_details_pb2, status_pb2
    except ImportError:
        from .generated import error_details_pb2, status_pb2

__all__ = ["error_details_pb2", "status_pb2"]
