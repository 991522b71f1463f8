"""Validates the values that people and programs set on a subscription. Errors are keyed by model field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypedDict

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from integrations.models import Integration, Store
from integrations.object_types import singular
from integrations.services.values import clean_line, clean_parameters, is_integer
from subscriptions.expressions.evaluation import ExpressionError, check_expression
from subscriptions.matching import CUSTOM_EVENT, check_intent, normalise_topic
from subscriptions.models import Subscription

#: Topics, intents or event names of one subscription.
ENTRIES_LIMIT = 200
LONGEST_POLL = 366 * 24 * 3600


class SubscriptionValues(TypedDict, total=False):
    """Values that can be set. `url` and `hub_secret` belong to the subscription's own integration, as in Intercom."""

    url: str | None
    hub_secret: str | None
    integration: Integration | None
    topics: list[str] | None
    intents: list[str] | None
    event_names: list[str] | None
    path: str | None
    filter: str | None
    transform: str | None
    parameters: Mapping[str, Any] | None
    is_ordered: bool | None
    poll_every: int | None
    is_active: bool | None


def clean_values(values: Mapping[str, Any], store: Store) -> dict[str, Any]:
    """Return the values as stored; None becomes the field's empty value. Raises ValidationError by field."""
    cleaned: dict[str, Any] = {}
    errors: dict[str, ValidationError] = {}
    for field, value in values.items():
        if field == "integration":
            cleaned[field] = value
            continue
        try:
            cleaned[field] = _EMPTY[field] if value is None else _CLEANERS[field](value, store)
        except ValueError as error:
            errors[field] = ValidationError(str(error), code="invalid")
    if errors:
        raise ValidationError(errors)
    return cleaned


def check_together(subscription: Subscription) -> None:
    """Validate what depends on several fields. Raises ValidationError by field."""
    if not subscription.topics and not subscription.intents and not subscription.poll_every:
        message = _("topics or intents are required.")
        raise ValidationError({"topics": ValidationError(message, code="required")})
    if CUSTOM_EVENT in subscription.topics and not subscription.event_names:
        message = _("The topic %(topic)s needs metadata.event_names.") % {"topic": CUSTOM_EVENT}
        raise ValidationError({"event_names": ValidationError(message, code="required")})
    if subscription.poll_every and not subscription.integration.adapter.is_pollable:
        raise ValidationError({"poll_every": _("Only integrations in hub format can be polled. Leave poll_every out.")})


def _list_of(value: Any, clean: Callable[[str], str]) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError(_("This must be an array of strings."))
    if len(value) > ENTRIES_LIMIT:
        raise ValueError(
            _("There are %(number)s entries; at most %(limit)s are allowed.")
            % {"number": len(value), "limit": ENTRIES_LIMIT}
        )
    return list(dict.fromkeys(clean(item) for item in value))


def _topics(value: Any, store: Store) -> list[str]:
    return _list_of(value, lambda item: normalise_topic(item, partial(singular, overrides=store.singular_overrides)))


def _intents(value: Any, store: Store) -> list[str]:
    return _list_of(value, lambda item: check_intent(item.strip()))


def _event_names(value: Any, store: Store) -> list[str]:
    return _list_of(value, lambda item: clean_line(item, limit=255, is_required=True))


def _path(value: Any, store: Store) -> str:
    return clean_line(value, limit=500)


def _expression(value: Any, store: Store) -> str:
    if not isinstance(value, str):
        raise ValueError(_("Write the expression as a text."))
    if not value.strip():
        return ""
    try:
        check_expression(value)
    except ExpressionError as error:
        if not error.column:
            raise ValueError(error.message) from None
        words = {"problem": error.message, "column": error.column}
        raise ValueError(_("%(problem)s (column %(column)s)") % words) from None
    return value


def _boolean(value: Any, store: Store) -> bool:
    if not isinstance(value, bool):
        raise ValueError(_("This is either true or false."))
    return value


def _text(value: Any, store: Store) -> str:
    # What it may hold is checked where its integration is made.
    if not isinstance(value, str):
        raise ValueError(_("Write this as a text."))
    return value


def _poll_every(value: Any, store: Store) -> int:
    shortest = settings.POLL_MIN_SECONDS
    if not is_integer(value) or not shortest <= value <= LONGEST_POLL:
        raise ValueError(
            _("This is a whole number of seconds, from %(shortest)s to %(limit)s.")
            % {"shortest": shortest, "limit": LONGEST_POLL}
        )
    return int(value)


_CLEANERS: dict[str, Callable[[Any, Store], Any]] = {
    "url": _text,
    "hub_secret": _text,
    "topics": _topics,
    "intents": _intents,
    "event_names": _event_names,
    "path": _path,
    "filter": _expression,
    "transform": _expression,
    "parameters": lambda value, store: clean_parameters(value),
    "is_ordered": _boolean,
    "poll_every": _poll_every,
    "is_active": _boolean,
}
_EMPTY: dict[str, Any] = {
    "url": "",
    "hub_secret": "",
    "topics": [],
    "intents": [],
    "event_names": [],
    "path": "",
    "filter": "",
    "transform": "",
    "parameters": {},
    "is_ordered": False,
    "poll_every": None,
    "is_active": True,
}
