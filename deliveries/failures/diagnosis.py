"""Diagnose a failed delivery in plain words, with suggested actions. Pure: a guess from what was recorded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from deliveries.failures.suspect_fields import suspicious_fields
from deliveries.failures.verdicts import BY_KIND, BY_STATUS, REDIRECT, REFUSED, SERVER, UNKNOWN, Choice, Verdict


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
    title, told, choice = _verdict(_Case(kind, status, f"{message}\n{body_text}"[:8_000], fields))
    explanation = str(told)
    if choice == "edit" and fields:
        explanation = f"{explanation} {_names(fields)}"
    elif not explanation.endswith((".", "!")):
        explanation += "."
    if not fields and differing and choice in ("edit", "retry"):
        fields, choice = tuple(differing), "edit"
        hint = _("Payloads that fail differ from those that arrive in %(field)s.") % {"field": differing[0]}
        explanation = f"{explanation} {hint}"
    return Diagnosis(str(title), explanation, fields if choice in ("edit", "retry") else (), choice)


def _pair(error: Any) -> tuple[str, str]:
    return (error[0], error[1]) if isinstance(error, tuple) else (error.path, error.message)


def _broken_schema(problems: list[tuple[str, str]]) -> Diagnosis:
    title, explanation, choice = BY_KIND["schema"]
    path, message = problems[0]
    told = f"{path}: {message}" if path else message
    number = len(problems) - 1
    more = ngettext("%(number)s more is marked in the editor.", "%(number)s more are marked in the editor.", number) % {
        "number": number
    }
    paths = tuple(dict.fromkeys(path for path, _message in problems if path))
    return Diagnosis(str(title), f"{explanation} {told}.{f' {more}' if number else ''}", paths, choice)


def _names(fields: tuple[str, ...]) -> str:
    if len(fields) == 1:
        return _("It refers to %(field)s: check there first.") % {"field": fields[0]}
    return _("It may refer to %(fields)s or %(last)s: check there first.") % {
        "fields": ", ".join(fields[:-1]),
        "last": fields[-1],
    }


def _verdict(case: _Case) -> Verdict:
    base = case.kind.partition("_error")[0]
    for name in (case.kind, base):
        if name in BY_KIND:
            return BY_KIND[name]
    for guess in _GUESSES:
        if (found := guess(case)) is not None:
            return found
    return UNKNOWN


def _by_words(case: _Case) -> Verdict | None:
    """Classify by the response text, which takes precedence over its status: many systems always return 500 or 400."""
    if case.fields:
        return None
    if _CREDENTIALS.search(case.message):
        return BY_STATUS[401]
    if _OVER.search(case.message):
        return BY_STATUS[429]
    return BY_KIND["timeout"] if _SLOW.search(case.message) else None


def _by_status(case: _Case) -> Verdict | None:
    return BY_STATUS.get(case.status) if case.status is not None else None


def _by_fields(case: _Case) -> Verdict | None:
    """Classify by fields: if the response mentions part of the payload, that is usually what the receiver rejects."""
    return REFUSED if case.fields else None


def _by_class(case: _Case) -> Verdict | None:
    match (case.status or 0) // 100:
        case 3:
            return REDIRECT
        case 4:
            return REFUSED
        case 5:
            return SERVER
        case _:
            return None


_GUESSES: tuple[Callable[[_Case], Verdict | None], ...] = (_by_status, _by_fields, _by_words, _by_class)
