"""One line of the log per request, in JSON only: what was asked, how it was answered, how long it took.

No query, header or body. Of addresses that are secrets themselves (a source's, a link to set a password), only what is
the same for all of them.
"""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from integrations.foundation.request_id import chosen

if TYPE_CHECKING:
    from config.server.request import Request

logger = logging.getLogger("hookdesk.requests")

#: Characters of a path.
LONGEST = 500
#: Below these, words of so many characters may be secrets.
_SECRET_ROOMS = ("/in/", "/accounts/", "/admin/password_reset/", "/admin/reset/")
_SECRET_WORD = re.compile(r"[^/]{16,}")


class RequestLines:
    """For `config.server.connections`, in the event loop."""

    def begun(self, request: Request) -> None:
        given = next((value for name, value in request.headers if name == b"x-request-id"), b"")
        request.id = chosen(given.decode("latin-1"))
        request.begun_at = time.monotonic()

    def sent(self, request: Request, data: bytes) -> None:
        """Part of the answer: the first one has the status."""
        if not request.status and data[:5] == b"HTTP/":
            request.status = int(data[9:12])

    def ended(self, request: Request) -> None:
        """The status is null if the client went away before it was answered."""
        seconds = time.monotonic() - request.begun_at
        self._write(request.method, path_of(request.path), request.status or None, seconds, request.id)

    def refused(self, status: int) -> None:
        """What was no whole request, or none that is understood."""
        self._write(None, None, status, 0.0, chosen(""))

    def _write(self, method: str | None, path: str | None, status: int | None, seconds: float, request: str) -> None:
        if not logger.isEnabledFor(logging.INFO):
            return
        fields = {
            "event": "http.request",
            "method": method,
            "path": path,
            "status": status,
            "duration_ms": round(seconds * 1000, 1),
            "request_id": request,
        }
        logger.info("%s %s %s", method or "-", path or "-", status or "-", extra={"fields": fields})


def path_of(raw: bytes) -> str:
    path = unquote_to_bytes(raw).decode("utf-8", "replace")[:LONGEST]
    room = next((prefix for prefix in _SECRET_ROOMS if path.startswith(prefix)), None)
    if room == "/in/":
        return "/in/…"
    return path if room is None else _SECRET_WORD.sub("…", path)
