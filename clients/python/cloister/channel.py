"""Address, credentials and options of a channel, the same for both kinds of client."""

from __future__ import annotations

import os
from typing import Any, List, Tuple

DEFAULT_ADDRESS = "unix:/run/cloister/cloister.sock"
# Output, files, a value and its forms together stay below this in any response of the server's.
DEFAULT_MESSAGE_BYTES = 256 << 20


def address_or_default(address: str | None) -> str:
    """The address given, else CLOISTER_SERVER, else that of a server on this machine."""
    return address or os.environ.get("CLOISTER_SERVER") or DEFAULT_ADDRESS


def channel_options(message_bytes: int) -> List[Tuple[str, Any]]:
    return [
        ("grpc.max_receive_message_length", message_bytes),
        ("grpc.max_send_message_length", message_bytes),
        # A server that was restarted is found again soon.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 5000),
        # Retries are ours: gRPC does not know what is safe to repeat.
        ("grpc.enable_retries", 0),
        # Clients of one process may want different options: no shared connections.
        ("grpc.use_local_subchannel_pool", 1),
    ]
