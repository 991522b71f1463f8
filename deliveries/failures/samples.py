"""Select payloads of failures and successes for `contrast`: the latest of one subscription and topic, within limits."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from typing import Any, Final

from django.db.models import F, QuerySet, TextField
from django.db.models.functions import Cast

from deliveries.failures.contrast import FEWEST_SUCCESSES, Finding, contrast
from deliveries.models import Delivery, Event, FailureGroup, Revision
from deliveries.models.delivery import DeliveryQuerySet
from integrations.foundation.identifiers import first_id_at

#: Most payloads per side, and most characters of them together.
SIDE_LIMIT: Final = 500
TEXT_LIMIT: Final = 800_000
#: Payloads read at a time, so that few large payloads are read for nothing.
CHUNK: Final = 25
#: Larger payloads are left out.
PAYLOAD_LIMIT: Final = 200_000
#: Most deliveries of the integration that are searched for successes of the subscription.
SCANNED: Final = 2_000
#: A group with fewer failures is compared together with others of the same kind, since its message may vary.
FEWEST_FAILURES: Final = 5
GROUPS_LIMIT: Final = 20


def findings_for(delivery: Delivery) -> list[Finding]:
    """Return what failures like this delivery's have in common that successes lack; empty if nothing."""
    if delivery.subscription_id is None:
        return []
    successes = _payloads(_ids(_latest_successes(delivery)))
    if len(successes) < FEWEST_SUCCESSES:
        successes = _payloads(_ids(_earlier_successes(delivery)))
    if len(successes) < FEWEST_SUCCESSES:
        return []
    return contrast(_payloads(_failing_ids(delivery)), successes)


def _same(delivery: Delivery) -> DeliveryQuerySet:
    rows = Delivery.objects.filter(subscription=delivery.subscription_id, topic=delivery.topic)
    return rows.exclude(trigger=Delivery.Trigger.TEST)


def _failing_ids(delivery: Delivery) -> list[uuid.UUID]:
    """Return the ids of failures to compare; always includes this delivery, whatever its state."""
    found: list[uuid.UUID] = []
    group = delivery.failure_group
    if group is not None:
        found = _ids(_same(delivery).filter(failure_group=group).failing())
        if len(found) < FEWEST_FAILURES:
            similar = FailureGroup.objects.filter(
                integration_id=group.integration_id, kind=group.kind, status=FailureGroup.Status.OPEN
            )
            keys = list(similar.order_by("-last_at").values_list("id", flat=True)[:GROUPS_LIMIT])
            found = _ids(_same(delivery).filter(failure_group_id__in=keys).failing())
    return found if delivery.pk in found else [delivery.pk, *found[: SIDE_LIMIT - 1]]


def _latest_successes(delivery: Delivery) -> QuerySet[Delivery]:
    latest = Delivery.objects.filter(integration_id=delivery.integration_id).order_by("-id")
    return _succeeded(delivery, latest)


def _earlier_successes(delivery: Delivery) -> QuerySet[Delivery]:
    """Return successes from before the failures began: nothing may have succeeded since."""
    since = delivery.failure_group.first_at if delivery.failure_group is not None else delivery.created_at
    rows = Delivery.objects.filter(integration_id=delivery.integration_id, id__lt=first_id_at(since))
    return _succeeded(delivery, rows.order_by("-id"))


def _succeeded(delivery: Delivery, rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """Return successes. Bounded: there is no index by subscription and status, so it walks the integration's latest."""
    return _same(delivery).filter(id__in=rows.values("id")[:SCANNED], status=Delivery.Status.SUCCEEDED)


def _ids(rows: QuerySet[Delivery]) -> list[uuid.UUID]:
    """Newest first."""
    return list(rows.order_by("-id").values_list("id", flat=True)[:SIDE_LIMIT])


def _payloads(ids: list[uuid.UUID]) -> list[Any]:
    """Return the payloads sent for these, oldest first: as many of the newest as `TEXT_LIMIT` allows."""
    texts: list[str] = []
    room = TEXT_LIMIT
    for start in range(0, len(ids), CHUNK):
        for text in _texts(ids[start : start + CHUNK]):
            if len(text) <= min(PAYLOAD_LIMIT, room):
                texts.append(text)
                room -= len(text)
        # The next payloads are probably of similar size.
        if room < TEXT_LIMIT // 10:
            break
    return [json.loads(text) for text in reversed(texts)]


def _texts(ids: list[uuid.UUID]) -> Iterable[str]:
    kept = Revision.objects.filter(delivery_id__in=ids, delivery__erased_at=None)
    edited = kept.filter(number=F("delivery__revision"))
    revised: dict[uuid.UUID, str] = dict(edited.values_list("delivery_id", Cast("data", TextField())))
    plain = [pk for pk in ids if pk not in revised]
    events = dict(Delivery.objects.filter(id__in=plain).values_list("id", "event_id"))
    data: dict[uuid.UUID, str] = dict(
        Event.objects.filter(id__in=set(events.values()), erased_at=None).values_list("id", Cast("data", TextField()))
    )
    for pk in ids:
        text = revised.get(pk) or data.get(events.get(pk, pk))
        if text:
            yield text
