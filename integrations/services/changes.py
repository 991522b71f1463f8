"""Creating, changing and deleting integrations. All take keyword arguments and hold one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Unpack

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _

from integrations.foundation.audit import HOOKDESK, Actor, record_change
from integrations.foundation.hooks import integration_deleted, integration_switched
from integrations.models import ConfigVersion, Integration, IntegrationHealth, Store
from integrations.parameters import mask_parameters, unmask_parameters
from integrations.security.encrypted_fields import UNREADABLE, readable
from integrations.security.redaction import MASK, masked_headers
from integrations.services.secrets import check_secret_fits, first_secret, needed_secret, replace_secret
from integrations.services.soft_delete import current, locked, mark_deleted, switch_off
from integrations.services.values import IntegrationValues, check_destination, clean_values
from integrations.wire_formats.base import WireFormat
from integrations.wire_formats.standard import StandardFormat

#: What stands for "not set" in the row, where the wire format has no say.
_PLAIN_DEFAULTS: dict[str, Any] = {
    "url": "",
    "connector": None,
    "wire_format": StandardFormat.name,
    "auth_type": Integration.AuthType.NONE.value,
    "auth_header": "",
    "token": "",
    "parameters": {},
    "headers": {},
    "additional_data": "",
    "max_in_flight": 512,
    "rate_limit": None,
    "keeps_bodies": True,
    "is_enabled": True,
    "disabled_reason": "",
}
_OF_THE_FORMAT = ("retry_policy", "timeout", "permanent_statuses")
#: Shown as a mask; one that is sent back means "as it is".
_MASKED = ("token", "secret", "additional_data")
FIELDS = ("name", "slug", *_PLAIN_DEFAULTS, *_OF_THE_FORMAT)


def create_integration(
    *, store: Store, actor: Actor, is_looked_up: bool = False, **values: Unpack[IntegrationValues]
) -> Integration:
    """A new integration, with a signing secret where its format signs (`active_secrets` has it).

    One in `turn` format is asked for its handshake after the commit. Raises ValidationError by field; its code
    is `required` for what is missing and `conflict` for a slug that is taken. `is_looked_up`: the caller, who holds a
    transaction, has asked `check_destination` before it.
    """
    cleaned = clean_values(values)
    if cleaned.get("url") and not is_looked_up:
        check_destination(cleaned["url"])
    if "name" not in cleaned:
        raise ValidationError({"name": ValidationError(_("name is required."), code="required")})
    integration = Integration(store=store, name=cleaned["name"])
    _apply(integration, _PLAIN_DEFAULTS | {name: value for name, value in cleaned.items() if value is not None})
    _apply_format_defaults(integration, keep=[name for name in _OF_THE_FORMAT if cleaned.get(name) is not None])
    _check_together(integration)
    secret = first_secret(integration, cleaned)
    with transaction.atomic():
        ConfigVersion.lock()
        integration.slug = cleaned.get("slug") or _free_slug(store, integration.name)
        _save(integration)
        if secret:
            replace_secret(integration, secret, timezone.now())
        record_change(
            actor=actor, action="create", target=integration, store=store, after=shown_fields(integration, FIELDS)
        )
        if integration.adapter.has_handshake:
            transaction.on_commit(partial(_greet, integration.id), robust=True)
    return integration


def update_integration(
    *, integration: Integration, actor: Actor, is_looked_up: bool = False, **values: Unpack[IntegrationValues]
) -> Integration:
    """Change what is given. A secret that is given replaces the current one as in a rotation.

    Masked parameters keep their values, so that an answer of the API can be sent back. Raises ValidationError.
    `is_looked_up` as in `create_integration`.
    """
    cleaned = clean_values(values)
    if cleaned.get("url") and cleaned["url"] != integration.url and not is_looked_up:
        check_destination(cleaned["url"])
    with transaction.atomic():
        found = locked(integration)
        before = {name: getattr(found, name) for name in FIELDS}
        cleaned = apply_changes(found, cleaned)
        _note_switch(found, before["is_enabled"])
        _renew_secret(found, cleaned)
        changed = [name for name in FIELDS if getattr(found, name) != before[name]]
        _save(found)
        if changed or cleaned.get("secret"):
            old = Integration(**{name: before[name] for name in FIELDS})
            record_change(
                actor=actor,
                action="change",
                target=found,
                store=found.store,
                before=shown_fields(old, changed),
                after=shown_fields(found, changed) | ({"secret": MASK} if cleaned.get("secret") else {}),
            )
        if "is_enabled" in changed:
            integration_switched(found, found.is_enabled, f"By {actor.name}.", timezone.now())
    integration.refresh_from_db()
    return integration


def delete_integration(*, integration: Integration, actor: Actor, reason: str = "") -> None:
    """Mark it deleted: its slug is free again, its history stays, what it still had to send is discarded."""
    with transaction.atomic():
        mark_deleted(
            integration,
            actor=actor,
            reason=reason,
            now=timezone.now(),
            announce=integration_deleted,
            shown=lambda row: shown_fields(row, FIELDS),
        )


def disable_integration(
    *, integration: Integration, reason: str, actor: Actor = HOOKDESK, is_told: bool = True
) -> bool:
    """Nothing is sent to it until somebody enables it; deliveries are still created and wait.

    False, and nothing is changed, if it is disabled already or was deleted. `is_told`: it calls `integration_switched`.
    """
    with transaction.atomic():
        is_off = switch_off(
            integration, flag="is_enabled", reason_field="disabled_reason", action="disable", reason=reason, actor=actor
        )
        if is_off and is_told:
            integration_switched(integration, False, reason, timezone.now())
    return is_off


def enable_integration(*, integration: Integration, actor: Actor, reason: str = "") -> bool:
    """Deliveries that waited are sent; its breaker is reset, so that old failures do not count.

    Returns False, without changes, if it is enabled already or was deleted.
    """
    with transaction.atomic():
        found = current(integration)
        if found is None or found.is_enabled:
            return False
        found.is_enabled, found.disabled_reason = True, ""
        found.save(update_fields=["is_enabled", "disabled_reason", "updated_at"])
        _forget_failures(found)
        record_change(actor=actor, action="enable", target=found, store=found.store, reason=reason)
        integration_switched(found, True, reason or f"By {actor.name}.", timezone.now())
    integration.refresh_from_db(fields=["is_enabled", "disabled_reason", "updated_at"])
    return True


def apply_changes(found: Integration, cleaned: dict[str, Any]) -> dict[str, Any]:
    """Change the row, which is not saved, as `update_integration` does; returns the values without those that are
    masked. `cleaned`: by `clean_values`. Raises ValidationError.
    """
    old_adapter = found.adapter
    cleaned = {name: value for name, value in cleaned.items() if name not in _MASKED or value != MASK}
    if isinstance(cleaned.get("parameters"), dict):
        cleaned["parameters"] = unmask_parameters(cleaned["parameters"], found.parameters)
    given = {name: value for name, value in cleaned.items() if name not in ("slug", "secret", *_OF_THE_FORMAT)}
    _apply(found, {name: _PLAIN_DEFAULTS[name] if value is None else value for name, value in given.items()})
    if cleaned.get("slug"):
        found.slug = cleaned["slug"]
    _apply(found, {name: cleaned[name] for name in _OF_THE_FORMAT if cleaned.get(name) is not None})
    _apply_format_defaults(found, keep=_kept(cleaned, found, old_adapter))
    _check_together(found)
    return cleaned


def _apply(integration: Integration, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if name in FIELDS:
            setattr(integration, name, value)


def _apply_format_defaults(integration: Integration, *, keep: list[str]) -> None:
    adapter = integration.adapter
    defaults = {
        "retry_policy": adapter.default_retry_policy,
        "timeout": adapter.default_timeout,
        "permanent_statuses": sorted(adapter.default_permanent_statuses),
    }
    _apply(integration, {name: value for name, value in defaults.items() if name not in keep})


def _kept(cleaned: dict[str, Any], current: Integration, old_adapter: WireFormat) -> list[str]:
    """Of what the format has defaults for: what stays. None asks for the default; a new format brings its own."""
    if current.adapter is not old_adapter:
        return [name for name in _OF_THE_FORMAT if cleaned.get(name) is not None]
    return [name for name in _OF_THE_FORMAT if name not in cleaned or cleaned[name] is not None]


def _check_together(integration: Integration) -> None:
    if not integration.url and not integration.connector:
        raise ValidationError(
            {"url": ValidationError(_("url is required: the address to which deliveries are sent."), code="required")}
        )
    if integration.auth_type == Integration.AuthType.HEADER and not integration.auth_header:
        message = _("auth_header is required with auth_type header: the name of the header that carries the token.")
        raise ValidationError({"auth_header": ValidationError(message, code="required")})


def _renew_secret(integration: Integration, cleaned: dict[str, Any]) -> None:
    """A secret that is given, or a first one for a format that now signs and cannot use what is there."""
    given = cleaned.get("secret")
    now = timezone.now()
    if given:
        check_secret_fits(integration, given)
        replace_secret(integration, given, now)
    elif given == "":
        integration.secrets.filter(expires_at=None).update(expires_at=now)
    elif secret := needed_secret(integration, integration.active_secrets(now)):
        replace_secret(integration, secret, now)


def _note_switch(integration: Integration, was_enabled: bool) -> None:
    if integration.is_enabled:
        integration.disabled_reason = ""
        if not was_enabled:
            _forget_failures(integration)


def _forget_failures(integration: Integration) -> None:
    IntegrationHealth.objects.filter(integration=integration).update(
        breaker=IntegrationHealth.Breaker.CLOSED,
        consecutive_failures=0,
        first_failure_at=None,
        opened_at=None,
        probe_at=None,
        throttled_until=None,
    )


def _save(integration: Integration) -> None:
    try:
        with transaction.atomic():
            integration.save()
    except IntegrityError:
        message = _("There is already an integration %(slug)r in this store. Choose another slug.") % {
            "slug": integration.slug
        }
        raise ValidationError({"slug": ValidationError(message, code="conflict")}) from None


def _free_slug(store: Store, name: str) -> str:
    base = slugify(name)[:90] or "integration"
    taken = set(Integration.objects.alive().filter(store=store, slug__startswith=base).values_list("slug", flat=True))
    return next(slug for slug in _numbered(base) if slug not in taken)


def _numbered(base: str) -> Iterator[str]:
    yield base
    number = 2
    while True:
        yield f"{base}-{number}"
        number += 1


def _greet(integration_id: int) -> None:
    from integrations.services.turn import handshake

    integration = Integration.objects.alive().filter(id=integration_id).first()
    if integration is not None:
        handshake(integration=integration, now=timezone.now())


def shown_fields(integration: Integration, names: Any) -> dict[str, Any]:
    """Fields for the history, credentials masked."""
    shown: dict[str, Any] = {}
    for name in names:
        value = readable(integration, name)
        if name in ("token", "additional_data") and value is not UNREADABLE:
            value = MASK if value else ""
        elif name == "parameters" and value is not UNREADABLE:
            value = mask_parameters(value)
        elif name == "headers":
            value = dict(masked_headers(tuple(value.items()), ()))
        shown[name] = value
    return shown
