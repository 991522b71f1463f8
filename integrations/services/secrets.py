"""Signing secrets: creation, rotation, and the 24 hours in which both sign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from integrations.foundation.audit import Actor, record_change
from integrations.models import ConfigVersion, Integration, Secret
from integrations.security.signing import SecretStyle, check_secret, generate_secret

#: How long the old secret also signs after a rotation.
ROTATION_OVERLAP = timedelta(hours=24)


def rotate_secret(*, integration: Integration, actor: Actor, now: datetime) -> str:
    """A new secret, shown once; requests are also signed with the old one until 24 h after `now`.

    Raises ValidationError where the integration's format does not sign.
    """
    style = _style_of(integration)
    if style is None:
        raise ValidationError(_("This integration does not sign its requests, so it has no secret to rotate."))
    with transaction.atomic():
        ConfigVersion.lock()
        current = Integration.objects.select_for_update(no_key=True).get(id=integration.id)
        secret = generate_secret(style)
        replace_secret(current, secret, now)
        record_change(actor=actor, action="rotate secret", target=current, store=current.store)
    return secret


def first_secret(integration: Integration, cleaned: Mapping[str, Any]) -> str | None:
    """The secret to begin with: the one given, or a generated one where the format signs.

    An empty text means none, which the `notification` format allows. Raises ValidationError.
    """
    given = cleaned.get("secret")
    if given:
        check_secret_fits(integration, given)
        return str(given)
    style = _style_of(integration)
    return None if style is None or (style == "hub" and given == "") else generate_secret(style)


def needed_secret(integration: Integration, known: Sequence[str]) -> str | None:
    """One for an integration whose format was changed to one that must sign, and cannot with what is `known`."""
    style = _style_of(integration)
    if style is None or style == "hub" or (known and _is_usable(style, known[0])):
        return None
    return generate_secret(style)


def check_secret_fits(integration: Integration, secret: str) -> None:
    """Raises ValidationError where the integration's format does not sign, or not with such a secret."""
    style = _style_of(integration)
    if style is None:
        raise ValidationError({"secret": _("This integration does not sign its requests. Leave the secret out.")})
    try:
        check_secret(style, secret)
    except ValueError as error:
        raise ValidationError({"secret": str(error)}) from None


def replace_secret(integration: Integration, secret: str, now: datetime) -> None:
    """Inside a transaction. Secrets that have expired are removed."""
    integration.secrets.filter(expires_at__lte=now).delete()
    integration.secrets.filter(expires_at=None).update(expires_at=now + ROTATION_OVERLAP)
    Secret.objects.create(integration=integration, value=secret)


def _style_of(integration: Integration) -> SecretStyle | None:
    return integration.adapter.signature_style


def _is_usable(style: SecretStyle, secret: str) -> bool:
    try:
        check_secret(style, secret)
    except ValueError:
        return False
    return True
