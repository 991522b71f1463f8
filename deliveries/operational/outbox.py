"""Noting what happened, in the transaction in which it did: one row for each, where a subscription takes it.

Bounded: of each kind, about each integration, a process notes so many a second; of the others it keeps the number, and
says it with the next (`omitted`). An error here never affects what happened.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import DatabaseError, InterfaceError, OperationalError, transaction

from deliveries.hooks import DeliveryChange
from deliveries.models import FailureGroup, OperationalEvent
from deliveries.operational import topics
from integrations.models import Integration
from subscriptions.routing import config_of

logger = logging.getLogger("hookdesk.operational")

#: Of one topic about one integration, in one second, by one process.
MOST_A_SECOND = 20
#: Characters of a reason.
LONGEST_REASON = 1_000


class Note(NamedTuple):
    """Something that happened. `key`: of what it is about, with the integration for the bound."""

    store_id: uuid.UUID
    topic: str
    reference: str
    integration_id: int | None
    data: dict[str, Any]


def on_settled(batch: Sequence[DeliveryChange], now: datetime) -> None:
    """Listener of `hooks.settled`: deliveries that failed for good."""
    topic = topics.DELIVERY_FAILED
    failed = [one for one in batch if one.status == "failed"]
    _note(
        [Note(one.store_id, topic, one.delivery_id.hex, one.integration_id, _reason(one.message)) for one in failed],
        now,
    )


def on_groups_opened(groups: Sequence[tuple[uuid.UUID, int, int]], now: datetime) -> None:
    """Listener of `hooks.groups_opened`."""
    _note([_case(topics.CASE_OPENED, *group) for group in groups], now)


def on_groups_reopened(group_ids: Sequence[int], now: datetime) -> None:
    """Listener of `hooks.groups_reopened`: by staff."""
    on_groups_opened(_groups(group_ids), now)


def on_groups_resolved(group_ids: Sequence[int], by: str, now: datetime) -> None:
    """Listener of `hooks.groups_resolved`."""
    _note([_case(topics.CASE_RESOLVED, *group, by=by) for group in _groups(group_ids)], now)


def _groups(group_ids: Sequence[int]) -> list[tuple[uuid.UUID, int, int]]:
    return list(FailureGroup.objects.filter(id__in=group_ids).values_list("store_id", "integration_id", "id"))


def _case(topic: str, store_id: uuid.UUID, integration_id: int, group_id: int, by: str = "") -> Note:
    data = {"status": "resolved", "by": by} if topic == topics.CASE_RESOLVED else {"status": "open"}
    return Note(store_id, topic, str(group_id), integration_id, data)


def on_integration_switched(integration: Integration, is_enabled: bool, reason: str, now: datetime) -> None:
    """Listener of `integrations.foundation.hooks.integration_switched`."""
    topic = topics.INTEGRATION_ENABLED if is_enabled else topics.INTEGRATION_DISABLED
    _note([Note(integration.store_id, topic, str(integration.pk), integration.pk, _reason(reason))], now)


def on_recipe_stopped(
    store_id: uuid.UUID, integration_id: int, recipe_id: uuid.UUID, reason: str, now: datetime
) -> None:
    """Listener of `hooks.recipe_stopped`."""
    _note([Note(store_id, topics.RECIPE_STOPPED, recipe_id.hex, integration_id, _reason(reason))], now)


def _reason(text: str) -> dict[str, Any]:
    text = text.replace("\0", "").strip()[:LONGEST_REASON]
    return {"reason": text} if text else {}


def _note(notes: Sequence[Note], now: datetime) -> None:
    """Nothing that goes wrong here affects what happened, but a database that is away."""
    try:
        wanted = {key for key in {(note.store_id, note.topic) for note in notes} if is_wanted(*key)}
        rows = [row for note in notes if (note.store_id, note.topic) in wanted and (row := _row(note, now))]
    except DatabaseError:
        raise  # the transaction cannot go on
    except Exception:
        logger.exception("could not note %s", notes[0].topic)
        return
    if rows:
        _write(rows)


def _write(rows: Sequence[OperationalEvent]) -> None:
    try:
        with transaction.atomic():
            OperationalEvent.objects.bulk_create(rows)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("could not note %s", rows[0].topic)


def _row(note: Note, now: datetime) -> OperationalEvent | None:
    """None: one too many."""
    omitted = _bound.admit((note.store_id, note.topic, note.integration_id))
    if omitted is None:
        return None
    data = note.data | ({"omitted": omitted} if omitted else {})
    return OperationalEvent(
        store_id=note.store_id, topic=note.topic, reference=note.reference, data=data, created_at=now
    )


def is_wanted(store_id: uuid.UUID, topic: str) -> bool:
    """Whether a subscription of the store takes the topic, as far as that is known without the data."""
    return bool(config_of(store_id).index.matching(topic, None, {}))


def _second() -> int:
    return int(time.monotonic())


class _Bound:
    """How many were noted in this second, and how many were left out since the last one that was."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._second = 0
        self._noted: dict[tuple[Any, ...], int] = {}
        self._omitted: dict[tuple[Any, ...], int] = {}

    def admit(self, key: tuple[Any, ...]) -> int | None:
        """None: leave it out; else how many were left out before it."""
        second = _second()
        with self._lock:
            if second != self._second:
                self._second, self._noted = second, {}
            if self._noted.get(key, 0) >= MOST_A_SECOND:
                self._omitted[key] = self._omitted.get(key, 0) + 1
                return None
            self._noted[key] = self._noted.get(key, 0) + 1
            return self._omitted.pop(key, 0)


_bound = _Bound()
