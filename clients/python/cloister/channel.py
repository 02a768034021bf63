"""Address, credentials and options of a channel, the same for both kinds of client."""

from __future__ import annotations

import ipaddress
import os
from typing import Any, List, Sequence, Tuple

DEFAULT_ADDRESS = "unix:/run/cloister/cloister.sock"
# Output, files, a value and its forms together stay below this in any response of the server's.
DEFAULT_MESSAGE_BYTES = 256 << 20


def address_or_default(address: str | None) -> str:
    """The address given, else CLOISTER_SERVER, else that of a server on this machine."""
    return address or os.environ.get("CLOISTER_SERVER") or DEFAULT_ADDRESS


def metadata_with_token(
    metadata: Sequence[Tuple[str, str]], token: str | None, address: str, is_encrypted: bool
) -> Tuple[Tuple[str, str], ...] | None:
    """What is sent with each call: `token`, else CLOISTER_TOKEN, else the first line of the file CLOISTER_TOKEN_FILE.

    Raises:
        ValueError: the token would go unencrypted to another machine.
    """
    if token is None:
        token = os.environ.get("CLOISTER_TOKEN", "").strip() or _first_line(os.environ.get("CLOISTER_TOKEN_FILE"))
    sent = tuple(metadata)
    if token:
        if len(token) > 512 or not all("!" <= character <= "~" for character in token):
            raise ValueError("the token is no printable ASCII of at most 512 characters")  # and is not shown
        if not is_encrypted and not _is_local(address):
            raise ValueError(f"a token would go to {address} unencrypted; pass credentials=grpc.ssl_channel_credentials(), "
                             "or send it as metadata yourself")
        sent += (("authorization", f"Bearer {token}"),)
    return sent or None


def _first_line(path: str | None) -> str:
    if not path:
        return ""
    with open(path, encoding="ascii") as file:
        return file.readline().strip()


def _is_local(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    if address.startswith(("unix:", "unix-abstract:")) or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def channel_options(message_bytes: int) -> List[Tuple[str, Any]]:
    return [
        ("grpc.max_receive_message_length", message_bytes),
        ("grpc.max_send_message_length", message_bytes),
        # A server that was restarted is found again soon.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 5000),
        # What is meant for this machine must not go through another.
        ("grpc.enable_http_proxy", 0),
        # Retries are ours: gRPC does not know what is safe to repeat.
        ("grpc.enable_retries", 0),
        # Clients of one process may want different options: no shared connections.
        ("grpc.use_local_subchannel_pool", 1),
    ]
