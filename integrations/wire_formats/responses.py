"""Interprets responses: status, error message, Retry-After. Pure.

Any response – empty, binary, HTML, JSON of the wrong shape – yields an Outcome.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from integrations.foundation.texts import shortened
from integrations.retry import RETRY_AFTER_LIMIT
from integrations.transport.base import Response
from integrations.wire_formats.base import Effect, Message, Outcome

SUCCESS = Outcome(True)
#: Maximum characters of the receiver's message that are kept.
SUMMARY_LIMIT = 200
THROTTLING = frozenset({429, 503})

_MEMBERS_THAT_EXPLAIN = ("summary", "message", "error", "detail", "error_description", "title", "errors")
_HTML = re.compile(r"\A\s*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_HTML_TITLE = re.compile(r"<title[^>]*>([^<]{1,400})", re.IGNORECASE)
_SECONDS = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,9})?")
_SPACES_AND_CONTROLS = re.compile(r"[\x00-\x20\x7f-\xa0]+")


def read_status(message: Message, response: Response, *, effect_of_410: Effect | None = None) -> Outcome:
    """Return the outcome for formats in which only the status counts: 2xx is success, anything else failure."""
    if 200 <= response.status < 300:
        return SUCCESS
    return failure(message, response, effect_of_410=effect_of_410)


def failure(
    message: Message,
    response: Response,
    *,
    summary: str | None = None,
    effect_of_410: Effect | None = None,
) -> Outcome:
    """Return the outcome of a failed request. A failed ping never disables the integration or its subscription."""
    status = response.status
    summary = summary or summary_of(response)
    is_gone = status == 410 and effect_of_410 is not None
    return Outcome(
        False,
        kind=f"http_{status}",
        message=_sentence(response, summary),
        summary=summary,
        is_permanent=is_gone or status in message.endpoint.permanent_statuses,
        retry_after=retry_after(response, message.now) if status in THROTTLING else None,
        effect=effect_of_410 if is_gone and not message.is_ping else None,
    )


def retry_after(response: Response, now: datetime) -> float | None:
    """Return the seconds requested by `Retry-After` (number or HTTP date), at most a day; None if invalid or past."""
    value = (response.header("Retry-After") or "").strip()
    if _SECONDS.fullmatch(value):
        return min(float(value), RETRY_AFTER_LIMIT)
    if not value or len(value) > 64:
        return None
    try:
        moment = parsedate_to_datetime(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - now).total_seconds()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    return min(seconds, RETRY_AFTER_LIMIT) if seconds >= 0 else None


def parsed(response: Response) -> Any:
    """Return the body parsed as JSON; None if it is invalid, or null (no format distinguishes the two)."""
    if not response.body or response.is_truncated:
        return None
    try:
        return json.loads(response.body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None


def parsed_object(response: Response) -> dict[str, Any] | None:
    value = parsed(response)
    return value if isinstance(value, dict) else None


def summary_of(response: Response) -> str | None:
    """Return the receiver's message on one line; None if there is none."""
    value = parsed(response)
    if value is not None:
        found = _explanation(value)
        if found:
            return found
    text = response.body[: SUMMARY_LIMIT * 8].decode("utf-8", "replace")
    if text.count("�") > len(text) // 10 or "\x00" in text:
        return f"{len(response.body)} bytes that are not text" if response.body else None
    if _HTML.match(text):
        title = _HTML_TITLE.search(text)
        return one_line(title.group(1)) if title else "an HTML page"
    return one_line(text)


def one_line(text: str) -> str | None:
    """Return `text` on one line, at most `SUMMARY_LIMIT` characters, without characters that cannot be stored."""
    flat = _SPACES_AND_CONTROLS.sub(" ", text[: SUMMARY_LIMIT * 8]).strip()
    flat = flat.encode("utf-8", "replace").decode()
    return shortened(flat, SUMMARY_LIMIT) or None


def is_storable(value: Any) -> bool:
    """Return whether a JSON value can be stored: no NUL and no lone surrogate in any text or key."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, RecursionError):
        return False
    return "\\u0000" not in text


def _explanation(value: Any, depth: int = 0) -> str | None:
    """Return the first member that contains a message; errors may be a string, an object or a list of either."""
    if isinstance(value, str):
        return one_line(value)
    if depth > 3:
        return None
    if isinstance(value, list):
        return _explanation(value[0], depth + 1) if value else None
    if isinstance(value, dict):
        for name in _MEMBERS_THAT_EXPLAIN:
            found = _explanation(value.get(name), depth + 1)
            if found:
                return found
    return None


def _sentence(response: Response, summary: str | None) -> str:
    status = response.status
    if 300 <= status < 400:
        target = one_line(response.header("Location") or "")
        where = f" to {target}" if target else ""
        return (
            f"The receiver answered {status}: it redirects{where}, and redirects are not followed. "
            "Put the final address into the integration's URL."
        )
    if summary:
        return f"The receiver answered {status}: {summary}"
    try:
        return f"The receiver answered {status} ({HTTPStatus(status).phrase}) with no error message."
    except ValueError:
        return f"The receiver answered {status} with no error message."


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
