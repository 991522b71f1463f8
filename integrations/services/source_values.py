"""Checks of what people and programs set on a source: one place for the API, the admin and commands.

As in `values`: each cleaner gives back what is stored, or raises ValueError with a sentence that says what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypedDict

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from integrations.foundation.hooks import expression_given
from integrations.models import Source
from integrations.services.values import clean_each, clean_line, is_integer
from integrations.sources import SOURCE_KINDS
from integrations.sources.base import Option, SourceKind

MAPPED: Final = ("topic", "intent", "object_type", "object_id", "data", "dedupe")
#: Seconds that a time stamp may be off at most.
TOLERANCE_LIMIT = 86_400
OPTION_LIMIT = 200

_SLUG = re.compile(r"[-a-zA-Z0-9_]{1,100}", re.ASCII)
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}", re.ASCII)


class SourceValues(TypedDict, total=False):
    """What can be set. What is left out, or None, gets its default."""

    name: str
    slug: str | None
    kind: str
    secret: str | None
    options: Mapping[str, Any] | None
    mapping: Mapping[str, str | None] | None
    mode: str | None
    is_enabled: bool | None


def clean_source_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they are stored. Raises ValidationError, by field, for all that are wrong."""
    return clean_each(values, _CLEANERS, may_be_none=_MAY_BE_NONE)


def check_options(kind: SourceKind, options: Mapping[str, Any]) -> dict[str, Any]:
    """Raises ValidationError for what sources of this kind do not have. Empty values are left out."""
    known = {option.name: option for option in kind.options}
    kept: dict[str, Any] = {}
    for name, value in options.items():
        if name not in known:
            offered = _("It has: %(known)s.") % {"known": ", ".join(known)} if known else _("It has none.")
            raise _wrong(
                "options",
                _("The kind %(kind)s has no option %(option)r. %(offered)s")
                % {"kind": kind.name, "option": name, "offered": offered},
            )
        if value is not None and value != "":
            kept[name] = _option(known[name], value)
    return kept


def check_source_secret(kind: SourceKind, secret: str) -> None:
    """Raises ValidationError."""
    try:
        kind.check_secret(secret)
    except ValueError as error:
        raise _wrong("secret", str(error)) from None


def _wrong(field: str, message: str) -> ValidationError:
    return ValidationError({field: ValidationError(message[:500], code="invalid")})


def _option(option: Option, value: Any) -> Any:
    if option.is_number:
        if not is_integer(value) or not 1 <= value <= TOLERANCE_LIMIT:
            raise _wrong(
                "options",
                _("%(name)s must be a whole number of seconds, 1 to %(limit)s.")
                % {"name": option.name, "limit": TOLERANCE_LIMIT},
            )
        return value
    if option.choices:
        if value not in option.choices:
            raise _wrong(
                "options",
                _("%(name)s must be one of: %(choices)s.")
                % {"name": option.name, "choices": ", ".join(option.choices)},
            )
        return value
    if not isinstance(value, str) or len(value) > OPTION_LIMIT:
        raise _wrong(
            "options",
            _("%(name)s must be a text of up to %(limit)s characters.") % {"name": option.name, "limit": OPTION_LIMIT},
        )
    if option.name in ("header", "timestamp_header"):
        if not _HEADER.fullmatch(value):
            raise _wrong(
                "options",
                _("%(name)s: %(value)r is not the name of a header, such as X-Signature.")
                % {"name": option.name, "value": value[:100]},
            )
    else:
        _no_control(option, value)
    return value


def _no_control(option: Option, value: str) -> None:
    try:
        clean_line(value, limit=OPTION_LIMIT)
    except ValueError as error:
        raise _wrong("options", f"{option.name}: {error}") from None


def _slug(value: Any) -> str:
    if not isinstance(value, str) or not _SLUG.fullmatch(value):
        raise ValueError(_("A slug has 1 to 100 letters, digits, hyphens and underscores, such as stripe-live."))
    return value


def _choice(value: Any, choices: Mapping[str, Any] | list[str]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise ValueError(
            (
                _("%(value)r is not known. Choose one of: %(choices)s.")
                % {"value": value, "choices": ", ".join(choices)}
            )[:500]
        )
    return value


def _secret(value: Any) -> str:
    clean_line(value, limit=500)
    return str(value)


def _options(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(_('Options are a JSON object, such as {"header": "X-Signature"}.'))
    return dict(value)


def _mapping(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError(_('A mapping is a JSON object of JMESPath, such as {"topic": "body.type"}.'))
    kept: dict[str, str] = {}
    for name, text in value.items():
        if name not in MAPPED:
            raise ValueError(
                _("%(name)r cannot be mapped. Map %(names)s.") % {"name": str(name)[:50], "names": ", ".join(MAPPED)}
            )
        if text is not None and not isinstance(text, str):
            raise ValueError(f"{name}: {_('Write a JMESPath expression as a text.')}")
        if text and text.strip():
            try:
                expression_given(text)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
            kept[name] = text
    return kept


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(_("This is either true or false."))
    return value


_CLEANERS: dict[str, Callable[[Any], Any]] = {
    "name": lambda value: clean_line(value, limit=200, is_required=True),
    "slug": _slug,
    "kind": lambda value: _choice(value, SOURCE_KINDS),
    "secret": _secret,
    "options": _options,
    "mapping": _mapping,
    "mode": lambda value: _choice(value, Source.Mode.values),
    "is_enabled": _boolean,
}
_MAY_BE_NONE = frozenset(_CLEANERS) - {"name", "kind"}
