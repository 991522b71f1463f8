"""Access tokens as staff and programs handle them: checked, and written into the history."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.foundation.audit import Actor, record_change
from integrations.models import AccessToken, Store
from integrations.security.token_addresses import parse_addresses
from integrations.security.tokens import create_token, revoke_token
from integrations.services.values import clean_line


def issue_token(
    *,
    store: Store,
    actor: Actor,
    name: str,
    scopes: list[str],
    expires_at: datetime | None = None,
    addresses: Collection[str] = (),
) -> tuple[AccessToken, str]:
    """A new token and its text, which is shown once. Raises ValidationError by field.

    `addresses`: addresses and CIDRs that it may be used from; none means from anywhere.
    """
    try:
        name = clean_line(name, limit=100, is_required=True)
    except ValueError as error:
        raise ValidationError({"name": str(error)}) from None
    if expires_at is not None and expires_at <= timezone.now():
        raise ValidationError({"expires_at": _("This time is in the past: the token would never work.")})
    try:
        parse_addresses(addresses)
    except ValueError as error:
        raise ValidationError({"addresses": str(error)}) from None
    with transaction.atomic():
        try:
            token, text = create_token(
                store=store, name=name, scopes=scopes, expires_at=expires_at, addresses=addresses
            )
        except ValueError as error:
            raise ValidationError({"scopes": str(error)}) from None
        _remember_issuers(token, actor)
        record_change(actor=actor, action="create", target=token, store=store, after=_shown(token))
    return token, text


def _remember_issuers(token: AccessToken, actor: Actor) -> None:
    """A token that was made by a token has the people of that one behind it: whoever held it may have asked."""
    people, is_known = people_behind(actor)
    token.issuers.set(people)
    if not is_known:
        token.is_issuer_known = False
        token.save(update_fields=["is_issuer_known"])


def people_behind(actor: Actor) -> tuple[set[int], bool]:
    """The ids of the users who act, or may act, as `actor`; and whether these are all that may."""
    if actor.user is not None:
        return {actor.user.pk}, True
    if actor.token_id is None:
        return set(), True
    token = AccessToken.objects.filter(pk=actor.token_id).first()
    if token is None:
        return set(), False
    return set(token.issuers.values_list("pk", flat=True)), token.is_issuer_known is True


def withdraw_token(*, token: AccessToken, actor: Actor, reason: str = "") -> None:
    """It stops working at once, everywhere."""
    with transaction.atomic():
        revoke_token(token=token)
        record_change(
            actor=actor, action="delete", target=token, store=token.store, before=_shown(token), reason=reason
        )


def _shown(token: AccessToken) -> dict[str, Any]:
    return {
        "name": token.name,
        "prefix": token.prefix,
        "scopes": list(token.scopes),
        "expires_at": token.expires_at.isoformat() if token.expires_at else None,
        "addresses": list(token.addresses or ()),
    }
