"""Setting what an integration is expected to hold."""

from __future__ import annotations

import math
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.foundation.audit import Actor, record_change
from integrations.models import Integration, Objectives

#: Seconds that an objective may allow from push to delivery: bounds of the bins that durations are counted in.
WITHIN_CHOICES: Final = {
    1: gettext_lazy("1 second"), 5: gettext_lazy("5 seconds"), 10: gettext_lazy("10 seconds"),
    30: gettext_lazy("30 seconds"), 60: gettext_lazy("1 minute"), 300: gettext_lazy("5 minutes"),
    900: gettext_lazy("15 minutes"), 3_600: gettext_lazy("1 hour"), 21_600: gettext_lazy("6 hours"),
    86_400: gettext_lazy("1 day"),
}  # fmt: skip
MOST_DAYS: Final = 30
#: Waiting deliveries are counted up to 10,000 (fewer where many integrations have queues).
BACKLOG_LIMIT: Final = 9_999
WAIT_LIMIT: Final = 7 * 86_400
FIELDS: Final = ("target", "within", "days", "max_backlog", "max_wait")


def objectives_of(integration: Integration) -> Objectives:
    """Those that are set, or unsaved ones with nothing set."""
    return Objectives.objects.filter(integration=integration).first() or Objectives(integration=integration)


def set_objectives(*, integration: Integration, actor: Actor, **values: Any) -> Objectives:
    """Change what is given (`FIELDS`; None: no such objective). Raises ValidationError by field."""
    cleaned = {name: _cleaned(name, value) for name, value in values.items()}
    with transaction.atomic():
        Objectives.objects.bulk_create([Objectives(integration=integration)], ignore_conflicts=True)
        found = Objectives.objects.select_for_update().get(integration=integration)
        before = {name: getattr(found, name) for name in FIELDS}
        for name, value in cleaned.items():
            setattr(found, name, value)
        changed = [name for name in FIELDS if getattr(found, name) != before[name]]
        if not changed:
            return found
        found.save(update_fields=changed)
        record_change(
            actor=actor,
            action="set objectives",
            target=integration,
            store=integration.store,
            before={name: before[name] for name in changed},
            after={name: getattr(found, name) for name in changed},
        )
    return found


def _cleaned(name: str, value: Any) -> Any:
    """Raises ValidationError."""
    if name not in FIELDS:
        raise ValidationError({name: _("There is no such objective.")})
    if value is None and name in ("target", "max_backlog", "max_wait"):
        return None
    is_number = type(value) is int or (isinstance(value, float) and math.isfinite(value))
    if name == "target":
        if not is_number or not 50 <= value <= 99.999:
            raise ValidationError({name: _("A target is a number from 50 to 99.999, in per cent.")})
        return round(float(value), 3)
    if not is_number or value != int(value):
        raise ValidationError({name: _("This must be a whole number.")})
    value = int(value)
    if name == "within" and value not in WITHIN_CHOICES:
        raise ValidationError(
            {name: _("Choose one of these seconds: %(choices)s.") % {"choices": ", ".join(map(str, WITHIN_CHOICES))}}
        )
    limit = {"within": WAIT_LIMIT, "days": MOST_DAYS, "max_backlog": BACKLOG_LIMIT, "max_wait": WAIT_LIMIT}[name]
    if not 1 <= value <= limit:
        raise ValidationError({name: _("This must be from 1 to %(limit)s.") % {"limit": f"{limit:,}"}})
    return value
