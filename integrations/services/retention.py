"""How long what happened is kept: the installation's default, or a store's own rule."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from integrations.foundation.audit import Actor, record_change
from integrations.models import Retention, Store

#: Kinds of data with a retention of their own; the names of the fields of `Retention`.
KINDS: Final = ("successes", "failures", "records", "notifications", "audit")
#: Those that stay unless a store says otherwise.
KEPT_BY_DEFAULT: Final = ("records", "audit")
DAYS_LIMIT: Final = 36_500


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """What is older than these times is deleted; None: nothing is. `of_store` has the stores with their own rule."""

    default: datetime | None
    of_store: Mapping[uuid.UUID, datetime] = field(default_factory=dict)

    def of(self, store_id: uuid.UUID | None) -> datetime | None:
        return self.of_store.get(store_id, self.default) if store_id is not None else self.default

    @property
    def latest(self) -> datetime | None:
        """Whatever is newer than this is kept in every store."""
        return max((moment for moment in (self.default, *self.of_store.values()) if moment), default=None)


def default_days(kind: str) -> int | None:
    """The installation's; None: kept for ever."""
    days: int = settings.RETENTION_DAYS
    return None if kind in KEPT_BY_DEFAULT else days


def cutoffs_of(kind: str, now: datetime, *, default: datetime | None = None) -> Cutoffs:
    """One query. `default` replaces the installation's."""
    own = Retention.objects.exclude(**{kind: None}).values_list("store_id", kind)
    of_store = {store_id: now - timedelta(days=days) for store_id, days in own}
    if default is None and (days := default_days(kind)) is not None:
        default = now - timedelta(days=days)
    return Cutoffs(default, of_store)


def shortest_days(store_id: uuid.UUID) -> int:
    """After how many days finished deliveries of this store begin to be deleted."""
    rule = Retention.objects.filter(store=store_id).first()
    days: int = settings.RETENTION_DAYS
    if rule is None:
        return days
    return min(days if own is None else own for own in (rule.successes, rule.failures))


def set_retention(*, store: Store, actor: Actor, values: Mapping[str, Any]) -> Retention:
    """Set all kinds: days from 1 to `DAYS_LIMIT`, or None for the default.

    Raises ValidationError by field, and changes nothing then.
    """
    cleaned = _clean(values)
    with transaction.atomic():
        rule, _created = Retention.objects.select_for_update().get_or_create(store=store)
        before = {kind: getattr(rule, kind) for kind in KINDS}
        after = {**before, **cleaned}
        if before != after:
            for kind, days in cleaned.items():
                setattr(rule, kind, days)
            rule.save(update_fields=list(cleaned))
            record_change(actor=actor, action="change retention", target=store, store=store, before=before, after=after)
    return rule


def _clean(values: Mapping[str, Any]) -> dict[str, int | None]:
    errors = {}
    for kind, days in values.items():
        if kind not in KINDS:
            errors[kind] = ValidationError(
                _("Unknown kind %(kind)r. Choose among: %(kinds)s.") % {"kind": kind, "kinds": ", ".join(KINDS)},
                code="invalid",
            )
        elif days is not None and (isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= DAYS_LIMIT):
            errors[kind] = ValidationError(
                _("This is a whole number of days from 1 to %(limit)s.") % {"limit": f"{DAYS_LIMIT:,}"}, code="invalid"
            )
    if errors:
        raise ValidationError(errors)
    return dict(values)
