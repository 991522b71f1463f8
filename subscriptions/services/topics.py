"""Describing topics: schema and condition."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypedDict, Unpack

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from integrations.foundation.audit import Actor, record_change
from integrations.foundation.strict_json import DocumentError, dump_document
from integrations.models import ConfigVersion, Store
from integrations.services.proposals import unsaved_copy
from subscriptions.expressions.evaluation import ExpressionError, check_expression
from subscriptions.hooks import topic_search_switched
from subscriptions.json_schema import SchemaError, compile_schema
from subscriptions.matching import check_topic_is_free
from subscriptions.models import Topic

DESCRIPTION_LIMIT = 10_000
SCHEMA_LIMIT = 256 * 1024

_FIELDS = ("name", "description", "schema", "condition", "is_searchable")


class TopicValues(TypedDict, total=False):
    name: str
    description: str | None
    schema: Mapping[str, Any] | None
    condition: str | None
    is_searchable: bool


def create_topic(*, store: Store, actor: Actor, **values: Unpack[TopicValues]) -> Topic:
    """Raises ValidationError by field; its code is `conflict` for a name that is taken."""
    cleaned = _clean(values)
    if "name" not in cleaned:
        raise ValidationError({"name": ValidationError(_("name is required."), code="required")})
    with transaction.atomic():
        topic = Topic(store=store, **cleaned)
        _save(topic)
        record_change(actor=actor, action="create", target=topic, store=store, after=_shown(topic))
        if not topic.is_searchable:
            topic_search_switched(store.pk, topic.name, False)
    return topic


def update_topic(*, topic: Topic, actor: Actor, **values: Unpack[TopicValues]) -> Topic:
    """Change what is given. Raises ValidationError by field."""
    cleaned = _clean(values)
    with transaction.atomic():
        ConfigVersion.lock()
        current = Topic.objects.select_for_update(no_key=True).filter(id=topic.id).first()
        if current is None:
            raise ValidationError(_("This topic has been deleted in the meantime."), code="conflict")
        before = _shown(current)
        for name, value in cleaned.items():
            setattr(current, name, value)
        _save(current)
        after = _shown(current)
        if before != after:
            record_change(actor=actor, action="change", target=current, store=current.store, before=before, after=after)
        _say_searchable(current.store_id, before, after)
    return current


def proposed_topic(*, topic: Topic, **values: Unpack[TopicValues]) -> Topic:
    """What `update_topic` would make of it, not saved. Raises ValidationError."""
    found = unsaved_copy(topic)
    for name, value in _clean(values).items():
        setattr(found, name, value)
    return found


def changes_of_topic(before: Topic, after: Topic) -> dict[str, tuple[Any, Any]]:
    """The fields that differ."""
    old, new = _shown(before), _shown(after)
    return {name: (old[name], new[name]) for name in _FIELDS if old[name] != new[name]}


def delete_topic(*, topic: Topic, actor: Actor, reason: str = "") -> None:
    """Its events go on to be accepted, without schema and condition; they can be searched."""
    with transaction.atomic():
        if not topic.is_searchable:
            topic_search_switched(topic.store_id, topic.name, True)
        record_change(
            actor=actor, action="delete", target=topic, store=topic.store, before=_shown(topic), reason=reason
        )
        topic.delete()


def _say_searchable(store_id: uuid.UUID, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    if (before["name"], before["is_searchable"]) == (after["name"], after["is_searchable"]):
        return
    if not before["is_searchable"]:
        topic_search_switched(store_id, before["name"], True)
    if not after["is_searchable"]:
        topic_search_switched(store_id, after["name"], False)


def check_schema(schema: Any) -> None:
    """Raise ValueError if `schema` is not a JSON Schema that can be evaluated at bounded cost without fetching."""
    if not isinstance(schema, Mapping):
        raise SchemaError(_("A JSON Schema is an object, or null for none."))
    try:
        length = len(dump_document(dict(schema)))
    except DocumentError as error:
        raise ValueError(error.message) from None
    if length > SCHEMA_LIMIT:
        raise ValueError(_("The schema is longer than %(limit)s characters.") % {"limit": SCHEMA_LIMIT})
    compile_schema(dict(schema))


def problem_of_topic(topic: Topic) -> str | None:
    """Return why the schema or condition of a topic, saved under earlier rules, cannot be used; empty if it can."""
    try:
        if topic.schema is not None:
            check_schema(topic.schema)
        if topic.condition.strip():
            check_expression(topic.condition)
    except ValueError as error:  # ExpressionError is one
        return str(error)
    return None


def _clean(values: Mapping[str, Any]) -> dict[str, Any]:
    cleaned: dict[str, Any] = {}
    errors: dict[str, ValidationError] = {}
    for field, value in values.items():
        try:
            cleaned[field] = _CLEANERS[field](value)
        except ValueError as error:
            errors[field] = ValidationError(str(error), code="invalid")
    if errors:
        raise ValidationError(errors)
    return cleaned


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(_("Write the name as a text, such as shipment.updated."))
    return check_topic_is_free(value.strip())


def _description(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or "\0" in value or len(value) > DESCRIPTION_LIMIT:
        raise ValueError(_("The description is a text of at most %(limit)s characters.") % {"limit": DESCRIPTION_LIMIT})
    return value


def _schema(value: Any) -> Any:
    if value is not None:
        check_schema(value)
    return value


def _condition(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(_("Write the condition as a text."))
    if value.strip():
        try:
            check_expression(value)
        except ExpressionError as error:
            raise ValueError(error.message) from None
    return value.strip()


def _searchable(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(_("searchable is true or false."))
    return value


_CLEANERS: dict[str, Callable[[Any], Any]] = {
    "name": _name,
    "description": _description,
    "schema": _schema,
    "condition": _condition,
    "is_searchable": _searchable,
}


def _save(topic: Topic) -> None:
    try:
        with transaction.atomic():
            topic.save()
    except IntegrityError:
        message = _("The topic %(name)r already exists. Change that one.") % {"name": topic.name}
        raise ValidationError({"name": ValidationError(message, code="conflict")}) from None


def _shown(topic: Topic) -> dict[str, Any]:
    return {name: getattr(topic, name) for name in _FIELDS}
