"""Channels of one store, made and changed by programs. The desk's form has the same rules."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet

from integrations.foundation.audit import Actor, record_change
from integrations.models import Integration, Store
from integrations.security.redaction import MASK
from notifications.channel_timing import set_timing, timing_of
from notifications.channels import CHANNEL_KINDS, Provider
from notifications.models import Channel, Notification

NAME_LIMIT, OPTION_LIMIT, RECIPIENTS_LIMIT, RECIPIENT_LENGTH = 100, 2_000, 100, 200


class ChannelValues(TypedDict, total=False):
    """The API's members of a channel. `options`: the kind's fields; a masked or missing secret stays unchanged."""

    name: Any
    kind: Any
    options: Any
    min_severity: Any
    integrations: Any
    active: Any


class AllChannelValues(ChannelValues, total=False):
    """What only the desk and configuration files set. Times of quiet hours are UTC, `HH:MM`; None is the default."""

    quiet_from: Any
    quiet_until: Any
    window_minutes: Any
    digest_minutes: Any


def channels_of(store_id: uuid.UUID) -> QuerySet[Channel]:
    """Return the channels that are for this store alone: others' settings are not its business."""
    others = Store.objects.exclude(pk=store_id)
    return Channel.objects.filter(stores=store_id).exclude(stores__in=others)


def save_channel(
    *, channel: Channel | None, store: Store, actor: Actor, values: ChannelValues | AllChannelValues
) -> Channel:
    """Create or change a channel of `store`; raises ValidationError by member, and changes nothing then."""
    return save_channel_of(channel=channel, stores=[store], actor=actor, values=values)


def save_channel_of(
    *, channel: Channel | None, stores: Sequence[Store], actor: Actor, values: ChannelValues | AllChannelValues
) -> Channel:
    """As `save_channel`, of several stores, or of all where none is given."""
    store = stores[0] if len(stores) == 1 else None
    row = channel or Channel(kind=_kind(values.get("kind")))
    if channel is not None and values.get("kind", row.kind) != row.kind:
        raise ValidationError({"kind": "A channel keeps its kind. Make another one."})
    before = _audited(row) if channel else None
    if channel is None or "name" in values:
        row.name = _name(values.get("name"))
    if "min_severity" in values:
        row.level = _level(values["min_severity"])
    if "active" in values:
        if not isinstance(values["active"], bool):
            raise ValidationError({"active": "active must be true or false."})
        row.is_enabled = values["active"]
    if channel is None or "options" in values:
        _set_options(row, values.get("options") or {})
    set_timing(row, values)
    chosen = _integrations(stores, values["integrations"]) if "integrations" in values else None
    with transaction.atomic():
        row.save()
        row.stores.set(stores)
        if chosen is not None:
            row.integrations.set(chosen)
        action = "change" if channel else "create"
        record_change(actor=actor, action=action, target=row, store=store, before=before, after=_audited(row))
    return row


def delete_channel(*, channel: Channel, store: Store | None, actor: Actor) -> None:
    with transaction.atomic():
        record_change(actor=actor, action="delete", target=channel, store=store, before=shown(channel))
        channel.delete()


def shown(channel: Channel) -> dict[str, Any]:
    """Return the members of a channel, with its secrets masked."""
    kind = CHANNEL_KINDS.get(channel.kind)
    options: dict[str, Any] = {}
    for each in kind.fields if kind else ():
        value = _value(channel, kind, each.name)
        if value:
            options[each.name] = MASK if each.is_secret else value
    if kind is None or kind.has_recipients:
        options["recipients"] = list(channel.recipients)
    return {
        "name": channel.name,
        "kind": channel.kind,
        "options": options,
        "min_severity": channel.level,
        "integrations": sorted(channel.integrations.values_list("slug", flat=True)) if channel.pk else [],
        "active": channel.is_enabled,
    }


def _audited(channel: Channel) -> dict[str, Any]:
    return shown(channel) | timing_of(channel)


def option_values(channel: Channel) -> dict[str, str]:
    """The kind's own fields, secrets too: never show them."""
    kind = CHANNEL_KINDS.get(channel.kind)
    if kind is None:
        return {name: str(value) for name, value in (channel.options or {}).items()}
    return {each.name: _value(channel, kind, each.name) for each in kind.fields}


def _value(channel: Channel, kind: type[Provider] | None, name: str) -> str:
    if kind is not None and name in kind.columns:
        return str(getattr(channel, name))
    return str((channel.options or {}).get(name, ""))


def _kind(name: Any) -> str:
    if not isinstance(name, str) or name not in CHANNEL_KINDS:
        raise ValidationError({"kind": f"kind must be one of {', '.join(CHANNEL_KINDS)}."})
    return name


def _name(name: Any) -> str:
    if not isinstance(name, str) or not 0 < len(name.strip()) <= NAME_LIMIT or "\0" in name:
        raise ValidationError({"name": f"name must be a text of 1 to {NAME_LIMIT} characters."})
    return name.strip()


def _level(level: Any) -> str:
    if level not in Notification.Level.values:
        raise ValidationError({"min_severity": f"min_severity must be {', '.join(Notification.Level.values)}."})
    return str(level)


def _integrations(stores: Sequence[Store], slugs: Any) -> list[Integration]:
    if not isinstance(slugs, list) or not all(isinstance(slug, str) for slug in slugs):
        raise ValidationError({"integrations": "integrations must be a list of slugs; empty: all."})
    alive = Integration.objects.alive().filter(slug__in=slugs)
    found = list(alive.filter(store__in=stores) if stores else alive)
    missing = sorted(set(slugs) - {integration.slug for integration in found})
    if missing:
        where = "this store" if len(stores) == 1 else "these stores"
        raise ValidationError({"integrations": f"There is no integration {missing[0]!r} in {where}."})
    return found


def _set_options(row: Channel, given: Any) -> None:
    kind = CHANNEL_KINDS[row.kind]
    if not isinstance(given, Mapping):
        raise ValidationError({"options": "options must be an object."})
    known = {each.name for each in kind.fields} | ({"recipients"} if kind.has_recipients else set())
    if unknown := sorted(set(given) - known):
        raise ValidationError({"options": f"{unknown[0]}: a channel of kind {row.kind} has no such option."})
    options = {each.name: _value(row, kind, each.name) for each in kind.fields}
    for name, value in given.items():
        if name == "recipients" or value == MASK:
            continue
        if not isinstance(value, str | None) or len(value or "") > OPTION_LIMIT or "\0" in (value or ""):
            raise ValidationError({"options": f"{name} must be a text of at most {OPTION_LIMIT} characters."})
        options[name] = (value or "").strip()
    if wrong := kind.check(options):
        raise ValidationError({"options": [f"{name}: {sentence}" for name, sentence in wrong.items()]})
    for name in kind.columns:
        longest = getattr(Channel._meta.get_field(name), "max_length", None)
        if longest and len(options[name]) > longest:
            raise ValidationError({"options": f"{name} has more than {longest} characters."})
        setattr(row, name, options[name])
    row.options = {name: value for name, value in options.items() if value and name not in kind.columns}
    _set_recipients(row, kind, given, options)


def _set_recipients(row: Channel, kind: type[Provider], given: Mapping[str, Any], options: Mapping[str, str]) -> None:
    if not kind.has_recipients:
        row.recipients = [kind.target(options)[:RECIPIENT_LENGTH]]
        return
    wanted = given.get("recipients", row.recipients)
    if not isinstance(wanted, list) or not 0 < len(wanted) <= RECIPIENTS_LIMIT:
        raise ValidationError({"options": f"recipients must be a list of 1 to {RECIPIENTS_LIMIT} texts."})
    for one in wanted:
        if not isinstance(one, str) or len(one) > RECIPIENT_LENGTH:
            raise ValidationError({"options": f"A recipient is a text of at most {RECIPIENT_LENGTH} characters."})
        try:
            kind(row).check_recipient(one)
        except ValueError as error:
            raise ValidationError({"options": f"recipients: {error}"}) from None
    row.recipients = list(dict.fromkeys(wanted))
