"""Find a TCP port to listen on."""

from __future__ import annotations

import socket
import time
from contextlib import suppress


def is_port_free(host: str, port: int, *, patience: float = 0.0) -> bool:
    """Whether a server can listen there; waits up to `patience` seconds for an earlier one to exit."""
    until = time.monotonic() + patience
    while True:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind((host, port))
                return True
        if time.monotonic() >= until:
            return False
        time.sleep(0.2)


def free_port(host: str, wanted: int) -> int:
    """Return the wanted port, or the next free one above it; 0 (any) if a hundred are in use."""
    return next((port for port in range(wanted, wanted + 100) if is_port_free(host, port)), 0)
