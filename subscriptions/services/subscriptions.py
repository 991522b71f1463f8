"""Creating, changing and deleting subscriptions, with or without their own integration."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Unpack
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.foundation.audit import HOOKDESK, Actor, record_change
from integrations.foundation.identifiers import public_id
from integrations.models import ConfigVersion, Integration, Store
from integrations.parameters import mask_parameters, unmask_parameters
from integrations.security.encrypted_fields import UNREADABLE, readable
from integrations.services import create_integration, delete_integration, update_integration
from integrations.services.soft_delete import locked, mark_deleted, switch_off
from integrations.services.values import check_destination
from integrations.wire_formats.notification import NotificationFormat
from subscriptions.hooks import subscription_created, subscription_deleted
from subscriptions.models import Subscription
from subscriptions.services.values import SubscriptionValues, check_together, clean_values
from subscriptions.services.versions import keep_first_versions, keep_versions

#: Subscriptions with an integration of their own, per store (docs/contract.md#subscriptions-api).
OWN_LIMIT = 250

FIELDS = (
    "topics", "intents", "event_names", "path", "filter", "transform", "parameters", "is_ordered", "poll_every",
    "is_active",
)  # fmt: skip
#: Read with a row that is locked.
_RELATED = ("integration", "store")


def create_subscription(
    *, store: Store, actor: Actor, is_looked_up: bool = False, **values: Unpack[SubscriptionValues]
) -> Subscription:
    """A new subscription to `integration`, or to `url`, which then gets an integration in notification format.

    Raises ValidationError by field (`required` is the code of what is missing). `is_looked_up`: the caller, who holds a
    transaction, has asked `check_destination` before it.
    """
    now = timezone.now()
    cleaned = clean_values(values, store)
    if cleaned.get("url") and cleaned.get("integration") is None and not is_looked_up:
        check_destination(cleaned["url"])
    with transaction.atomic():
        ConfigVersion.lock()  # also prevents two concurrent requests from both taking the last free place
        subscription = Subscription(id=uuid.uuid4(), store=store)
        apply_values(subscription, cleaned)
        integration = cleaned.get("integration")
        if integration is None:
            _check_limit(store)
            subscription.integration = _own_integration(subscription, actor, cleaned)
        else:
            check_usable(integration, store, cleaned)
            subscription.integration = integration
        check_together(subscription)
        subscription.next_poll_at = now if subscription.poll_every else None
        subscription.save(force_insert=True)
        record_change(
            actor=actor, action="create", target=subscription, store=store, after=shown_fields(subscription, FIELDS)
        )
        keep_versions([subscription.pk], by=actor.name, now=subscription.created_at)
        subscription_created(subscription, now)
    return subscription


def update_subscription(
    *, subscription: Subscription, actor: Actor, is_looked_up: bool = False, **values: Unpack[SubscriptionValues]
) -> Subscription:
    """Change what is given; arrays replace, masked parameters keep their values. Raises ValidationError.

    `is_looked_up` as in `create_subscription`.
    """
    cleaned = clean_values(values, subscription.store)
    if cleaned.get("url") and cleaned["url"] != subscription.integration.url and not is_looked_up:
        check_destination(cleaned["url"])
    now = timezone.now()
    with transaction.atomic():
        current = locked(subscription, related=_RELATED)
        keep_first_versions([current.pk])
        before = {name: getattr(current, name) for name in FIELDS} | {"integration": current.integration}
        if cleaned.get("parameters"):
            cleaned["parameters"] = unmask_parameters(cleaned["parameters"], current.parameters)
        apply_values(current, cleaned)
        _redirect(current, actor, cleaned)
        check_together(current)
        if current.is_active:
            current.inactive_reason = ""
        if current.poll_every != before["poll_every"]:
            current.next_poll_at = now if current.poll_every else None
        current.save()
        changed = [name for name in FIELDS if getattr(current, name) != before[name]]
        if changed or current.integration != before["integration"]:
            old = Subscription(**{name: before[name] for name in FIELDS}, integration=before["integration"])
            record_change(
                actor=actor,
                action="change",
                target=current,
                store=current.store,
                before=shown_fields(old, changed),
                after=shown_fields(current, changed),
            )
            keep_versions([current.pk], by=actor.name, now=timezone.now())
    return current


def delete_subscription(*, subscription: Subscription, actor: Actor, reason: str = "") -> None:
    """Nothing more is sent for it. An integration of its own goes with it."""
    with transaction.atomic():
        ConfigVersion.lock()
        keep_first_versions([subscription.pk])
        deleted = mark_deleted(
            subscription,
            actor=actor,
            reason=reason,
            now=timezone.now(),
            announce=subscription_deleted,
            shown=lambda row: shown_fields(row, FIELDS),
            related=_RELATED,
        )
        keep_versions([deleted.pk], by=actor.name, now=timezone.now())
        if has_own_integration(deleted) and deleted.integration.deleted_at is None:
            delete_integration(integration=deleted.integration, actor=actor, reason=reason)


def deactivate_subscription(*, subscription: Subscription, reason: str, actor: Actor = HOOKDESK) -> bool:
    """It gets no new deliveries until someone activates it (a receiver answered 410).

    False, and nothing is changed, if it is inactive already or was deleted.
    """
    with transaction.atomic():
        ConfigVersion.lock()
        keep_first_versions([subscription.pk])
        is_changed = switch_off(
            subscription,
            flag="is_active",
            reason_field="inactive_reason",
            action="deactivate",
            reason=reason,
            actor=actor,
            related=_RELATED,
        )
        if is_changed:
            keep_versions([subscription.pk], by=actor.name, now=timezone.now())
    return is_changed


def delete_subscriptions_of(integration: Integration, now: datetime) -> None:
    """Listens to `integration_deleted`."""
    found = Subscription.objects.alive().filter(integration=integration)
    # In one order: engines lock subscriptions whose polls succeeded.
    ids = list(found.order_by("id").select_for_update(no_key=True).values_list("id", flat=True))
    keep_first_versions(ids)
    found.update(deleted_at=now, updated_at=now)
    keep_versions(ids, by=HOOKDESK.name, now=timezone.now())


def has_own_integration(subscription: Subscription) -> bool:
    """Was it made with a URL? Then its integration bears its id."""
    return subscription.integration.slug == public_id("nsub", subscription.id)


def apply_values(subscription: Subscription, cleaned: dict[str, Any]) -> None:
    for name in FIELDS:
        if name in cleaned:
            setattr(subscription, name, cleaned[name])


def _check_limit(store: Store) -> None:
    own = Subscription.objects.alive().filter(store=store, integration__slug__startswith="nsub_").count()
    if own >= OWN_LIMIT:
        message = _(
            "This store has %(number)s subscriptions with a URL; at most %(limit)s are allowed. Use an integration."
        ) % {"number": own, "limit": OWN_LIMIT}
        raise ValidationError({"url": message})


def _own_integration(subscription: Subscription, actor: Actor, cleaned: dict[str, Any]) -> Integration:
    url = cleaned.get("url")
    if not url:
        message = _("url is required (or integration: the slug of one that exists).")
        raise ValidationError({"url": ValidationError(message, code="required")})
    with _errors_as_ours():
        return create_integration(
            store=subscription.store,
            actor=actor,
            is_looked_up=True,
            name=_name_of(url),
            slug=public_id("nsub", subscription.id),
            url=url,
            wire_format=NotificationFormat.name,
            secret=cleaned.get("hub_secret") or "",
        )


def _redirect(subscription: Subscription, actor: Actor, cleaned: dict[str, Any]) -> None:
    """Another integration, or another URL or secret of its own one."""
    wanted: Integration | None = cleaned.get("integration")
    if wanted is not None and wanted != subscription.integration:
        check_usable(wanted, subscription.store, cleaned)
        old, was_own = subscription.integration, has_own_integration(subscription)
        subscription.integration = wanted
        if was_own:
            # First moved, so that the deletion of its old integration does not take the subscription along.
            subscription.save(update_fields=["integration"])
            delete_integration(integration=old, actor=actor)
        return
    changes: dict[str, Any] = {}
    if cleaned.get("url") and cleaned["url"] != subscription.integration.url:
        changes |= {"url": cleaned["url"], "name": _name_of(cleaned["url"])}
    if "hub_secret" in cleaned:
        changes["secret"] = cleaned["hub_secret"] or ""
    if not changes:
        return
    if not has_own_integration(subscription):
        field = "url" if "url" in changes else "hub_secret"
        message = _("This subscription uses the integration %(slug)r. Change it there.") % {
            "slug": subscription.integration.slug
        }
        if field == "url" or changes["secret"]:
            raise ValidationError({field: message})
        return
    with _errors_as_ours():
        subscription.integration = update_integration(
            integration=subscription.integration, actor=actor, is_looked_up=True, **changes
        )


def check_usable(integration: Integration, store: Store, cleaned: dict[str, Any]) -> None:
    if integration.store_id != store.id or integration.deleted_at is not None:
        raise ValidationError({"integration": _("There is no such integration in this store.")})
    if cleaned.get("url") and cleaned["url"] != integration.url:
        raise ValidationError({"url": _("Give either a url or an integration: the integration has a URL already.")})
    if cleaned.get("hub_secret"):
        raise ValidationError({"hub_secret": _("The integration has its own secret. Change it there.")})


@contextmanager
def _errors_as_ours() -> Iterator[None]:
    """An integration's errors under the names that subscriptions use."""
    names = {"secret": "hub_secret", "name": "url", "slug": "url"}
    try:
        yield
    except ValidationError as error:
        if not hasattr(error, "error_dict"):
            raise
        raise ValidationError({names.get(field, field): found for field, found in error.error_dict.items()}) from None


def _name_of(url: Any) -> str:
    """How staff recognise it: host and path."""
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        name = f"{parts.hostname}{parts.path}".rstrip("/") if parts and parts.hostname else ""
    except ValueError:
        name = ""
    return "".join(character for character in name if character.isprintable())[:200] or "Webhook"


def shown_fields(subscription: Subscription, names: Iterable[str]) -> dict[str, Any]:
    """Fields for the history, credentials masked."""
    shown = {name: readable(subscription, name) for name in names}
    if shown.get("parameters", UNREADABLE) is not UNREADABLE:
        shown["parameters"] = mask_parameters(shown["parameters"])
    return shown | {"integration": subscription.integration.slug}
