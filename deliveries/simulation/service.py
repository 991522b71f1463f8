"""Starting a simulation, and what follows it: saving the change, resending what differs, delivering what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import Count, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from deliveries.models import Delivery, Replay, Simulation, SimulationItem
from deliveries.replay import matching, start_replay
from deliveries.replay.backfill import Wanted, start_backfill
from deliveries.simulation import runner
from deliveries.simulation.choosing import EventChoice
from deliveries.simulation.comparers import Found
from deliveries.simulation.comparing import kind_words
from deliveries.simulation.targets import Target, target_of
from deliveries.simulation.walking import STEPS, Progress, walk
from integrations.foundation.audit import Actor

#: Simulations of one store that run at the same time.
RUNNING_MOST: Final = 5
#: Groups of alike effects that are shown of one verdict.
GROUPS_SHOWN: Final = 30
#: The statuses of what is resent.
RESENT: Final = "failed,retrying,succeeded"


class SimulationError(ValueError):
    """It cannot be started or saved; the message says why."""


@dataclass(frozen=True, slots=True)
class Group:
    """Events on which the change has the same effect; `sample` is the number of the item of one of them."""

    kind: str
    count: int
    sample: int

    @property
    def words(self) -> str:
        """The kind in the language of the page."""
        return kind_words(self.kind)


def start_simulation(
    *, target: Target, values: Mapping[str, Any], choice: EventChoice, actor: Actor, now: datetime | None = None
) -> Simulation:
    """Start; it goes on in the background. Nothing is changed or sent. Raises SimulationError and ValidationError."""
    now = now or timezone.now()
    proposed: Any = dict(values)
    changes = target.changes(values)
    target.look_up(values)
    if not changes:
        raise SimulationError(_("Nothing is changed, so everything would stay as it is."))
    with transaction.atomic():
        mine = Simulation.objects.filter(status=Simulation.Status.RUNNING, store=target.store)
        if mine.count() >= RUNNING_MOST:
            raise SimulationError(
                _("%(number)s simulations of this store are running. Wait for one of them, or cancel it.")
                % {"number": RUNNING_MOST}
            )
        simulation = Simulation.objects.create(
            store=target.store,
            kind=target.kind,
            target_id=target.id,
            target_name=str(target.row)[:300],
            base=target.base,
            proposed=proposed,
            changes={name: list(pair) for name, pair in changes.items()},
            events=choice.kept(),
            limit=choice.limit,
            steps_left=STEPS,
            created_by=actor.user,
            created_by_name=actor.name[:200],
            created_at=now,
        )
        transaction.on_commit(lambda: runner.enqueue(simulation.pk))
    return simulation


def simulate_now(
    *, target: Target, values: Mapping[str, Any], choice: EventChoice, seconds: float
) -> tuple[Progress, list[Found]]:
    """The same without storing anything, for at most so many seconds of the processor. Raises ValidationError."""
    progress = Progress()
    found = walk(target.store, choice, target.comparer(values, timezone.now()), progress, seconds)
    return progress, found


def cancel_simulation(simulation: Simulation, now: datetime | None = None) -> None:
    rows = Simulation.objects.filter(pk=simulation.pk, status=Simulation.Status.RUNNING)
    rows.update(status=Simulation.Status.CANCELLED, finished_at=now or timezone.now())


def groups_of(simulation: Simulation, verdict: str) -> list[Group]:
    """The largest first."""
    rows = SimulationItem.objects.filter(simulation=simulation, verdict=verdict).order_by()
    counted = rows.values_list("kind").annotate(count=Count("id")).order_by("-count", "kind")[:GROUPS_SHOWN]
    return [
        Group(kind, count, rows.filter(kind=kind).order_by("number").values_list("number", flat=True)[0])
        for kind, count in counted
    ]


def differing(simulation: Simulation) -> QuerySet[Delivery]:
    """The deliveries whose requests would differ, or that would no longer fail."""
    return matching(filters={"simulation": str(simulation.pk), "status": RESENT}, action=Replay.Action.RETRY)


def look_up(simulation: Simulation) -> None:
    """What saving needs of the network, before its transaction. Raises ValidationError."""
    if (target := target_of(simulation)) is not None:
        target.look_up(simulation.proposed)


def save_simulation(*, simulation: Simulation, actor: Actor, now: datetime | None = None) -> None:
    """Make the change. Raises SimulationError, also if something was changed since it began, and ValidationError."""
    look_up(simulation)
    with transaction.atomic():
        _save(simulation, actor, now or timezone.now())


def _save(simulation: Simulation, actor: Actor, now: datetime) -> None:
    row = Simulation.objects.select_for_update(of=("self",)).select_related("store").get(pk=simulation.pk)
    if row.saved_at is not None:
        raise SimulationError(_("It was saved already, by %(name)s.") % {"name": row.saved_by_name})
    target = target_of(row)
    if target is None:
        raise SimulationError(_("It was deleted meanwhile."))
    if target.base != row.base:
        raise SimulationError(_("It was changed since this was run. Run it again to see what would happen now."))
    Simulation.objects.filter(pk=row.pk).update(saved_at=now, saved_by_name=actor.name[:200])
    target.save(row.proposed, actor)


def save_and_resend(
    *, simulation: Simulation, actor: Actor, confirmed: int | None, reason: str = "", **course: Any
) -> Replay:
    """Save, and resend what differs by one replay; `confirmed`: how many were delivered already. All or nothing.

    `course`: `per_second`, `canary` and `stop_above` of `start_replay`. Raises what that and `save_simulation` raise.
    """
    _refuse_running(simulation)
    look_up(simulation)
    with transaction.atomic():
        _save(simulation, actor, timezone.now())
        return start_replay(
            filters={"simulation": str(simulation.pk), "status": RESENT},
            action=Replay.Action.RETRY,
            actor=actor,
            store=simulation.store,
            reason=reason,
            confirmed=confirmed,
            **course,
        )


def save_and_backfill(*, simulation: Simulation, actor: Actor, reason: str = "", **course: Any) -> Replay:
    """Save, and deliver what the subscription missed since the oldest compared event. All or nothing, as above."""
    if simulation.kind != Simulation.Kind.SUBSCRIPTION:
        raise SimulationError("Only a subscription misses events: backfill each one after saving this.")
    _refuse_running(simulation)
    if simulation.oldest_at is None:
        raise SimulationError(_("No event was compared."))
    look_up(simulation)
    with transaction.atomic():
        _save(simulation, actor, timezone.now())
        target = target_of(simulation)
        assert target is not None
        return start_backfill(
            subscription=target.row,
            wanted=Wanted(simulation.oldest_at, period_end(simulation)),
            actor=actor,
            reason=reason,
            **course,
        )


def _refuse_running(simulation: Simulation) -> None:
    if not simulation.is_over:
        raise SimulationError("It is still running, so what differs is not known yet. Wait for it, or cancel it.")


def period_end(simulation: Simulation) -> datetime:
    """Until when a backfill after it reaches: to the end of the period, or to when it was run."""
    return EventChoice.of(simulation.events).until or timezone.now()
