"""Notify staff when an integration misses its objective, and when it meets it again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import Q
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from deliveries import hooks
from deliveries.maintenance.periodic import log_and_continue
from deliveries.stats.budgets import Budget, budgets
from deliveries.stats.waiting import MOST_COUNTED, Waiting, waiting
from integrations.foundation.languages import staff_language
from integrations.foundation.written import grouped
from integrations.models import Objectives
from integrations.services.objectives import WITHIN_CHOICES

#: A limit that was exceeded counts as met again only below this share of it, to avoid repeated notifications.
SETTLED_BELOW: Final = 0.8
AUTO: Final = "auto"
#: Columns of `Objectives`.
ALERTS: Final = ("budget_alert_at", "backlog_alert_at", "wait_alert_at")


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of one objective. `is_broken`: missed. `is_held`: met again. Neither: no change. `text`: for the staff,
    in their language."""

    is_broken: bool
    is_held: bool
    level: str = "error"
    text: str = ""


def watch_objectives(now: datetime) -> int:
    """Announce changes since the last run; return how many. Safe to run in several processes at once."""
    has_one = Q(target__isnull=False) | Q(max_backlog__isnull=False) | Q(max_wait__isnull=False)
    is_told = Q(budget_alert_at__isnull=False) | Q(backlog_alert_at__isnull=False) | Q(wait_alert_at__isnull=False)
    watched = Objectives.objects.filter(Q(has_one, integration__deleted_at=None) | is_told)
    rows = list(watched.select_related("integration").defer("integration__token", "integration__parameters"))
    if not rows:
        return 0
    alive = [row for row in rows if row.integration.deleted_at is None]
    queues, spent = waiting(now, [row.integration_id for row in alive], MOST_COUNTED), budgets(alive, now)
    changed = 0
    for row in rows:
        with log_and_continue("watching the objectives of integration", row.integration_id):
            queue = queues.get(row.integration_id, Waiting())
            with staff_language():
                found = _findings(row, queue, spent.get(row.integration_id), now) if row in alive else {}
            for alert in ALERTS:
                changed += _announce(row, alert, found.get(alert), now)
    return changed


def _findings(row: Objectives, queue: Waiting, spent: Budget | None, now: datetime) -> dict[str, Finding]:
    """Return the findings, by alert, for the objectives that are set."""
    found = {}
    if spent is not None:
        found["budget_alert_at"] = _budget(row, spent)
    if row.max_backlog is not None:
        found["backlog_alert_at"] = _backlog(row, queue, row.max_backlog)
    if row.max_wait is not None:
        found["wait_alert_at"] = _wait(row, queue.overdue(now) if row.integration.is_enabled else 0.0, row.max_wait)
    return found


def _announce(row: Objectives, alert: str, finding: Finding | None, now: datetime) -> bool:
    """Announce a change. `alert`: the column that holds since when the objective has been known to be missed."""
    since = getattr(row, alert)
    integration, key = row.integration, f"{alert.removesuffix('_alert_at')}:{row.integration_id}"
    is_over = since is not None and (finding is None or finding.is_held)
    is_new = since is None and finding is not None and finding.is_broken
    if not (is_over or is_new):
        return False
    with transaction.atomic():
        # Another process may have announced it in the meantime.
        if not Objectives.objects.filter(pk=row.pk, **{alert: since}).update(**{alert: now if is_new else None}):
            return False
        if is_new:
            assert finding is not None
            hooks.announced(integration.store_id, integration.pk, key, finding.level, finding.text, now)
        else:
            hooks.announcement_settled(integration.store_id, key, AUTO, now)
    return True


def _budget(row: Objectives, found: Budget) -> Finding:
    is_broken = found.is_spent or found.is_burning
    return Finding(is_broken, found.is_held, "error", _budget_text(row, found) if is_broken else "")


def _budget_text(row: Objectives, found: Budget) -> str:
    values = {
        "name": row.integration.name,
        "target": number_format(f"{row.target:g}", use_l10n=True),
        "within": WITHIN_CHOICES.get(row.within, f"{row.within} s"),
        "days": row.days,
        "bad": grouped(found.bad),
        "total": grouped(found.total),
        "allowed": number_format(found.allowed, 1, use_l10n=True, force_grouping=True),
        "rate": number_format(found.burn_rate, 1, use_l10n=True, force_grouping=True),
        "spent": round(found.spent * 100),
    }
    if found.is_spent:
        words = _(
            "%(name)s: the error budget is spent (%(target)s %% within %(within)s, %(days)s days): %(bad)s of "
            "%(total)s deliveries failed or were late, where %(allowed)s may."
        )
    else:
        words = _(
            "%(name)s: the error budget (%(target)s %% within %(within)s, %(days)s days) is being spent %(rate)s times "
            "as fast as it may, %(spent)s %% of it so far: %(bad)s of %(total)s deliveries failed or were late, where "
            "%(allowed)s may."
        )
    return words % values


def _backlog(row: Objectives, queue: Waiting, most: int) -> Finding:
    words = _("%(name)s: %(number)s deliveries wait, more than the %(most)s that may.")
    text = words % {"name": row.integration.name, "number": queue.text, "most": grouped(most)}
    return Finding(queue.number > most, queue.number <= most * SETTLED_BELOW, "warning", text)


def _wait(row: Objectives, waited: float, most: int) -> Finding:
    words = _(
        "%(name)s: the oldest due delivery has waited for %(waited)s seconds, longer than the %(most)s that it may."
    )
    text = words % {"name": row.integration.name, "waited": grouped(round(waited)), "most": grouped(most)}
    return Finding(waited > most, waited <= most * SETTLED_BELOW, "error", text)
