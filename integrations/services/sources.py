"""Creating, changing and deleting sources. All take keyword arguments and hold one transaction."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any, Unpack

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _

from integrations.foundation.audit import Actor, record_change
from integrations.models import ConfigVersion, Source, SourceAddress, SourceSecret, Store
from integrations.models.source import address_url
from integrations.security.redaction import MASK
from integrations.services.secrets import ROTATION_OVERLAP
from integrations.services.soft_delete import locked, mark_deleted
from integrations.services.source_values import SourceValues, check_options, check_source_secret, clean_source_values
from integrations.sources.base import SourceKind

_FIELDS = ("name", "slug", "kind", "options", "mapping", "mode", "is_enabled")
_DEFAULTS: dict[str, Any] = {"options": {}, "mapping": {}, "is_enabled": True}


def create_source(*, store: Store, actor: Actor, **values: Unpack[SourceValues]) -> Source:
    """A new source with an address, and with a secret where its kind lets us make it (`active_secrets` has it).

    Raises ValidationError by field; its code is `required` for what is missing and `conflict` for a slug that is taken.
    """
    cleaned = clean_source_values(values)
    for name in ("name", "kind"):
        if name not in cleaned:
            raise ValidationError({name: ValidationError(_("%(name)s is required.") % {"name": name}, code="required")})
    source = Source(store=store, mode=cleaned.get("mode") or "")
    _apply(source, _DEFAULTS | {name: value for name, value in cleaned.items() if value is not None})
    source.mode = source.mode or source.adapter.default_mode
    source.options = check_options(source.adapter, source.options)
    given = cleaned.get("secret")
    if given:
        check_source_secret(source.adapter, given)
    secret = given if given else source.adapter.new_secret(source.options) if given is None else None
    with transaction.atomic():
        ConfigVersion.lock()
        source.slug = cleaned.get("slug") or _free_slug(store, source.name)
        _save(source)
        _new_address(source)
        if secret:
            SourceSecret.objects.create(source=source, value=secret)
        record_change(actor=actor, action="create", target=source, store=store, after=_shown(source, _FIELDS))
    return source


def update_source(*, source: Source, actor: Actor, **values: Unpack[SourceValues]) -> Source:
    """Change what is given. A secret that is given replaces the current one, which goes on proving for 24 h.

    An empty secret takes the secrets away at once. Raises ValidationError; a kind cannot be changed.
    """
    cleaned = clean_source_values(values)
    with transaction.atomic():
        found = locked(source)
        before = {name: getattr(found, name) for name in _FIELDS}
        if cleaned.get("kind", found.kind) != found.kind:
            raise ValidationError({"kind": _("The kind of a source cannot be changed. Create another source.")})
        if cleaned.get("mode") is None:
            cleaned.pop("mode", None)
        _apply(found, {name: _DEFAULTS.get(name) if value is None else value for name, value in cleaned.items()})
        found.slug = cleaned.get("slug") or before["slug"]
        found.options = check_options(_kind_of(found), found.options)
        secret = cleaned.get("secret")
        _renew_secret(found, secret)
        changed = [name for name in _FIELDS if getattr(found, name) != before[name]]
        _save(found)
        has_new_secret = secret is not None and secret != MASK
        if changed or has_new_secret:
            record_change(
                actor=actor,
                action="change",
                target=found,
                store=found.store,
                before={name: before[name] for name in changed},
                after=_shown(found, changed) | ({"secret": MASK} if has_new_secret else {}),
            )
    source.refresh_from_db()
    return source


def delete_source(*, source: Source, actor: Actor, reason: str = "") -> None:
    """Its address is gone at once and its slug is free again; its events stay."""
    with transaction.atomic():
        found = mark_deleted(
            source,
            actor=actor,
            reason=reason,
            now=timezone.now(),
            announce=lambda row, now: None,
            shown=lambda row: _shown(row, _FIELDS),
        )
        found.addresses.all().delete()
        found.secrets.all().delete()


def rotate_address(*, source: Source, actor: Actor, now: datetime) -> str:
    """A new address, which is returned; the old one works for 24 h from `now`."""
    with transaction.atomic():
        found = locked(source)
        found.addresses.filter(expires_at__lte=now).delete()
        found.addresses.filter(expires_at=None).update(expires_at=now + ROTATION_OVERLAP)
        address = _new_address(found)
        record_change(actor=actor, action="rotate address", target=found, store=found.store)
    return address


def rotate_source_secret(*, source: Source, actor: Actor, now: datetime) -> str:
    """A new secret, shown once; the old one goes on proving for 24 h from `now`.

    Raises ValidationError where the vendor makes the secret: then it is changed by `update_source`.
    """
    with transaction.atomic():
        found = locked(source)
        kind = _kind_of(found)
        secret = kind.new_secret(found.options)
        if secret is None:
            message = _("The secret of this kind comes from the sender. Enter the new one instead.")
            raise ValidationError(message)
        _replace_secret(found, secret, now)
        record_change(actor=actor, action="rotate secret", target=found, store=found.store)
    return secret


def _apply(source: Source, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if name in _FIELDS and name != "slug":
            setattr(source, name, value)


def _kind_of(source: Source) -> SourceKind:
    """Raises ValidationError."""
    try:
        return source.adapter
    except LookupError:
        raise ValidationError(
            _("The kind %(kind)s is not available. This source can only be deleted.") % {"kind": source.kind}
        ) from None


def _renew_secret(source: Source, given: str | None) -> None:
    if given is None or given == MASK:
        return
    now = timezone.now()
    if given == "":
        source.secrets.all().delete()
    else:
        check_source_secret(_kind_of(source), given)
        _replace_secret(source, given, now)


def _replace_secret(source: Source, secret: str, now: datetime) -> None:
    """Inside a transaction. Secrets that have expired are removed."""
    source.secrets.filter(expires_at__lte=now).delete()
    source.secrets.filter(expires_at=None).update(expires_at=now + ROTATION_OVERLAP)
    SourceSecret.objects.create(source=source, value=secret)


def _new_address(source: Source) -> str:
    token = secrets.token_urlsafe(24)
    SourceAddress.objects.create(source=source, token=token, digest=SourceAddress.digest_of(token))
    return address_url(token)


def _save(source: Source) -> None:
    try:
        with transaction.atomic():
            source.save()
    except IntegrityError:
        message = _("There is already a source %(slug)r in this store. Choose another slug.") % {"slug": source.slug}
        raise ValidationError({"slug": ValidationError(message, code="conflict")}) from None


def _free_slug(store: Store, name: str) -> str:
    base = slugify(name)[:90] or "source"
    taken = set(Source.objects.alive().filter(store=store, slug__startswith=base).values_list("slug", flat=True))
    number, slug = 1, base
    while slug in taken:
        number += 1
        slug = f"{base}-{number}"
    return slug


def _shown(source: Source, names: Any) -> dict[str, Any]:
    return {name: getattr(source, name) for name in names}
