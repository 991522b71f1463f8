"""Format a request as a `curl` command that can be pasted into a shell. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Final

from integrations.security.redaction import MASK

#: Headers that curl sets itself, or that would contradict what it sends.
LEFT_OUT: Final = frozenset({"host", "content-length", "connection", "accept-encoding", "transfer-encoding"})
PLACEHOLDER: Final = "YOUR_SECRET"


def curl_command(*, method: str, url: str, headers: Iterable[Sequence[str]], body: str) -> str:
    """Return the command, with each header on its own line.

    Masked credentials become placeholders named after their header, such as `YOUR_AUTHORIZATION`, or `YOUR_SECRET` in
    the URL and the body. `body` is text: bytes that were not valid text are not restored.
    """
    parts = [f"curl -i -X {shlex.quote(method)} {shlex.quote(_filled(url))}"]
    for name, value in headers:
        if name.lower() not in LEFT_OUT:
            parts.append(f"-H {shlex.quote(f'{name}: {_filled(value, _placeholder(name))}')}")
    if body:
        parts.append(f"--data-raw {shlex.quote(_filled(body))}")
    return " \\\n  ".join(parts)


def _filled(text: str, placeholder: str = PLACEHOLDER) -> str:
    return text.replace(MASK, placeholder)


def _placeholder(header: str) -> str:
    return "YOUR_" + re.sub(r"[^A-Z0-9]+", "_", header.upper()).strip("_")
