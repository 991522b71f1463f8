"""Diagnose a failed delivery in plain words, with suggested actions. Pure: a guess from what was recorded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from deliveries.failures.suspect_fields import suspicious_fields

Choice = Literal["edit", "integration", "retry", "wait", "discard"]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """`suspicious_fields` are paths inside the payload, likeliest first; `suggested_choice` is the wizard's card."""

    title: str
    explanation: str
    suspicious_fields: tuple[str, ...]
    suggested_choice: Choice


@dataclass(frozen=True, slots=True)
class _Case:
    kind: str
    status: int | None
    message: str
    fields: tuple[str, ...]


_Verdict = tuple[str, str, Choice]

_BY_KIND: dict[str, _Verdict] = {
    "timeout": (
        "The receiver was too slow",
        "It accepted the connection but did not answer in time. It may be overloaded, or may have done the work "
        "anyway: "
        "check first before resending what must not happen twice. You can set a longer timeout on the integration.",
        "retry",
    ),
    "dns": (
        "The receiver's host name does not resolve",
        "No address was found for the host in the integration's URL. Usually the URL is mistyped, or the "
        "domain has expired.",
        "integration",
    ),
    "connection": (
        "The receiver cannot be reached",
        "Nothing listens at the integration's address, or the connection was cut. If the receiver is only down for "
        "now, resend once it is back; if it has moved, correct the URL.",
        "retry",
    ),
    "tls": (
        "The receiver's certificate is not valid",
        "The connection was not made, because it would not have been safe: the certificate has expired, is for "
        "another name, or has no trusted issuer. The receiver must renew it, or the URL is wrong.",
        "integration",
    ),
    "refused_address": (
        "This address is not allowed",
        "The integration's URL leads to a private or reserved address. Correct the URL, or have the administrator "
        "allow that network in OUTBOUND_ALLOW.",
        "integration",
    ),
    "protocol": (
        "The response was not valid HTTP",
        "Something answers at this address, but not with valid HTTP. Check the host, port and http or "
        "https in the integration's URL.",
        "integration",
    ),
    "request_id_mismatch": (
        "The response belongs to another request",
        "The request_id in the response is not the one that was sent. The receiver mixes up its responses: contact "
        "its operators; resending may help in the meantime.",
        "retry",
    ),
    "configuration": (
        "The integration is not fully configured",
        "The request could not be built, because something is missing or wrong in the integration.",
        "integration",
    ),
    "internal": (
        "Hookdesk hit an internal error",
        "Something in the delivery's data or settings is unexpected. The worker's log has the details. Resend once "
        "that is fixed.",
        "integration",
    ),
    "payload": (
        "The payload cannot be sent in this format",
        "The request could not be built from this payload.",
        "edit",
    ),
    "schema": (
        "The payload violates its topic's schema",
        "The data does not have the agreed structure.",
        "edit",
    ),
    "filter": (
        "The subscription's filter failed",
        "The filter could not be applied to this payload. Correct the filter, or the payload.",
        "integration",
    ),
    "transform": (
        "The subscription's transform failed",
        "The transform could not be applied to this payload. Correct the transform, or the payload.",
        "integration",
    ),
    "interrupted": (
        "Sending was interrupted",
        "The worker stopped during the attempt, so it is unknown whether the receiver got it. It is resent with the "
        "same request id, so that the receiver can deduplicate it.",
        "retry",
    ),
}

_BY_STATUS: dict[int, _Verdict] = {
    401: (
        "The receiver does not accept our credentials",
        "The token is wrong, has expired or was revoked. Put the right one into the integration and resend.",
        "integration",
    ),
    403: (
        "The receiver denies access",
        "We are not authorised. The token lacks a permission, or our address is not on the receiver's allowlist.",
        "integration",
    ),
    404: (
        "Nothing was found at this address",
        "The receiver does not know the URL, or the object in the payload. Check the integration's URL and the "
        "subscription's path first.",
        "integration",
    ),
    405: (
        "The receiver does not accept POST there",
        "The URL or path is probably wrong.",
        "integration",
    ),
    408: ("The receiver timed out", "It was too slow or overloaded. Resending usually helps.", "retry"),
    410: (
        "The endpoint is gone (410)",
        "The receiver says that this address has been removed. If it has moved, correct the URL and resend; "
        "else discard.",
        "integration",
    ),
    413: (
        "The payload is too large for the receiver",
        "Shorten it, or have the receiver accept larger bodies.",
        "edit",
    ),
    429: (
        "The receiver is rate-limiting us (429)",
        "Too many requests in a short time. It is retried automatically; a rate limit on the integration prevents "
        "this.",
        "retry",
    ),
}
_REDIRECT: _Verdict = (
    "The receiver redirects to another address",
    "It answered with a redirect, which is never followed, because credentials would be sent along. Put the new "
    "address "
    "into the integration.",
    "integration",
)
_SERVER: _Verdict = (
    "The receiver has an internal error",
    "Usually temporary. If it persists, contact the receiver's operators.",
    "retry",
)
_REFUSED: _Verdict = (
    "The receiver rejected this payload as invalid",
    "It understood the request but rejects the data: resending it unchanged would fail again.",
    "edit",
)
_UNKNOWN: _Verdict = ("The attempt failed", "See the attempts below for the request and the response.", "retry")

#: Words in a response that indicate bad credentials or a timeout, whatever its status.
_CREDENTIALS = re.compile(
    r"\b(unauthori[sz]ed|authenticat\w+|invalid (?:api )?(?:key|token)|access token|credentials)\b", re.I
)
_SLOW = re.compile(r"\b(timed? ?out|timeout|deadline exceeded)\b", re.I)
_OVER = re.compile(r"\b(rate limit\w*|too many requests|quota)\b", re.I)


def diagnose(
    *,
    kind: str,
    status: int | None = None,
    message: str = "",
    body_text: str = "",
    payload: Any = None,
    schema_errors: Iterable[Any] = (),
    differing: Sequence[str] = (),
) -> Diagnosis:
    """Guess the cause of a failed attempt.

    `kind`, `status` and `message` are the attempt's, `body_text` what the receiver answered, `payload` the data as
    it is now, `schema_errors` what its schema objects to: objects with `path` and `message`, or such pairs.
    `differing` are paths in which payloads that fail differ from those that arrive: they count where the receiver's
    words name no field.
    """
    problems = [_pair(error) for error in schema_errors]
    if problems:
        return _broken_schema(problems)
    fields = suspicious_fields(message, payload) or suspicious_fields(body_text, payload)
    title, explanation, choice = _verdict(_Case(kind, status, f"{message}\n{body_text}"[:8_000], fields))
    if choice == "edit" and fields:
        explanation = f"{explanation} {_names(fields)}"
    elif not explanation.endswith((".", "!")):
        explanation += "."
    if not fields and differing and choice in ("edit", "retry"):
        fields, choice = tuple(differing), "edit"
        explanation = f"{explanation} Payloads that fail differ from those that arrive in {differing[0]}."
    return Diagnosis(title, explanation, fields if choice in ("edit", "retry") else (), choice)


def _pair(error: Any) -> tuple[str, str]:
    return (error[0], error[1]) if isinstance(error, tuple) else (error.path, error.message)


def _broken_schema(problems: list[tuple[str, str]]) -> Diagnosis:
    title, explanation, choice = _BY_KIND["schema"]
    path, message = problems[0]
    told = f"{path}: {message}" if path else message
    more = f" {len(problems) - 1} more are marked in the editor." if len(problems) > 1 else ""
    paths = tuple(dict.fromkeys(path for path, _ in problems if path))
    return Diagnosis(title, f"{explanation} {told}.{more}", paths, choice)


def _names(fields: tuple[str, ...]) -> str:
    if len(fields) == 1:
        return f"It refers to {fields[0]}: check there first."
    return f"It may refer to {', '.join(fields[:-1])} or {fields[-1]}: check there first."


def _verdict(case: _Case) -> _Verdict:
    base = case.kind.partition("_error")[0]
    for name in (case.kind, base):
        if name in _BY_KIND:
            return _BY_KIND[name]
    for guess in _GUESSES:
        if (found := guess(case)) is not None:
            return found
    return _UNKNOWN


def _by_words(case: _Case) -> _Verdict | None:
    """Classify by the response's text, which outweighs its status: many systems return 500 or 400 for everything."""
    if case.fields:
        return None
    if _CREDENTIALS.search(case.message):
        return _BY_STATUS[401]
    if _OVER.search(case.message):
        return _BY_STATUS[429]
    return _BY_KIND["timeout"] if _SLOW.search(case.message) else None


def _by_status(case: _Case) -> _Verdict | None:
    return _BY_STATUS.get(case.status) if case.status is not None else None


def _by_fields(case: _Case) -> _Verdict | None:
    """Classify by fields: if the response mentions part of the payload, that is usually what the receiver rejects."""
    return _REFUSED if case.fields else None


def _by_class(case: _Case) -> _Verdict | None:
    match (case.status or 0) // 100:
        case 3:
            return _REDIRECT
        case 4:
            return _REFUSED
        case 5:
            return _SERVER
        case _:
            return None


_GUESSES: tuple[Callable[[_Case], _Verdict | None], ...] = (_by_status, _by_fields, _by_words, _by_class)
