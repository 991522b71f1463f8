"""Erasing events, each with everything that came of it: deliveries, attempts, edits.

A delivery cannot be sent without its payload, so open and failed ones are discarded. One that is being sent is left to
its engine, which would write the payload again; its event is tried again later.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime

from deliveries import hooks
from deliveries.dispatch import ordering
from deliveries.erasure.matching import Sought
from deliveries.erasure.place import Done, Found
from deliveries.failures.groups import close_empty_groups
from deliveries.models import Attempt, BulkFixItem, Delivery, Event, FailureGroup, RecipeUse, Revision
from deliveries.models.erasure import ERASED_DOCUMENT, ERASED_TEXT
from deliveries.storage.locks import keys_of, lock_deliveries, lock_groups

Status = Delivery.Status
#: They would be sent, or wait for staff to send them.
ENDED = (Status.PENDING, Status.RETRYING, Status.FAILED)


def erase_events(found: Found) -> Done:
    return _erase(found.keys, found.sought, found.now)


def erase_events_of_revisions(found: Found) -> Done:
    """An edited payload is that of the same person: the whole event goes."""
    deliveries = Delivery.objects.filter(id__in={row.delivery_id for row in found.rows})
    return _erase(set(deliveries.values_list("event_id", flat=True)), found.sought, found.now)


def _erase(ids: Collection[uuid.UUID], sought: Sought, now: datetime) -> Done:
    # First, so that a backfill makes no delivery of them meanwhile.
    list(Event.objects.filter(id__in=ids).order_by("id").select_for_update(no_key=True).values_list("id"))
    of_event = dict(Delivery.objects.filter(event__in=ids).values_list("id", "event_id"))
    # A group shows the message of its sample. In the order of `deliveries.storage.locks`.
    is_in = FailureGroup.objects.filter(deliveries__in=list(of_event)).values_list("id", flat=True)
    samples = FailureGroup.objects.filter(sample__in=list(of_event)).values_list("id", flat=True)
    lock_groups({*is_in, *samples})
    locked = lock_deliveries(Delivery.objects.exclude(status=Status.SENDING), list(of_event)) if of_event else []
    busy = {event for key, event in of_event.items() if key not in {delivery.pk for delivery in locked}}
    mine = [delivery for delivery in locked if delivery.event_id not in busy]
    free = [key for key in ids if key not in busy]
    _discard([delivery for delivery in mine if delivery.status in ENDED], now)
    done = _erase_deliveries([delivery.pk for delivery in mine], now)
    done["event"] += _erase_rows(free, sought, now)
    hooks.payloads_erased("event", free)
    hooks.payloads_erased("delivery", [delivery.pk for delivery in mine])
    return Done(done, len(busy))


def _discard(deliveries: Sequence[Delivery], now: datetime) -> None:
    """Resolved without sending; what waited behind them goes on."""
    if not deliveries:
        return
    Delivery.objects.filter(id__in=[delivery.pk for delivery in deliveries]).update(
        status=Status.DISCARDED,
        due_at=None,
        lease=None,
        failure_group=None,
        finished_at=now,
        is_awaiting_source=False,
    )
    close_empty_groups({delivery.failure_group_id for delivery in deliveries}, now)
    ordering.release_all(keys_of(deliveries), now)
    said = [one for one in deliveries if not one.is_test]
    hooks.settled(
        [hooks.DeliveryChange(one.pk, one.store_id, one.integration_id, Status.DISCARDED) for one in said], now
    )


def _erase_deliveries(ids: Sequence[uuid.UUID], now: datetime) -> Counter[str]:
    done: Counter[str] = Counter()
    if not ids:
        return done
    done["delivery"] = Delivery.objects.filter(id__in=ids).update(erased_at=now, last_error="", order_key=None)
    done["attempt"] = empty_attempts(ids_of_attempts(ids))
    done["revision"] = Revision.objects.filter(delivery__in=ids).update(data=ERASED_DOCUMENT, patch=[], reason="")
    Revision.objects.filter(delivery__in=ids, is_awaiting_approval=True).update(
        is_awaiting_approval=False, rejected_at=now
    )
    done["bulk_fix_item"] = BulkFixItem.objects.filter(delivery_id__in=ids).delete()[0]
    RecipeUse.objects.filter(delivery_id__in=ids).update(note="")
    FailureGroup.objects.filter(sample__in=ids).update(message=ERASED_TEXT, sample=None)
    return done


def ids_of_attempts(deliveries: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    return list(Attempt.objects.filter(delivery__in=deliveries).values_list("id", flat=True))


def empty_attempts(ids: Sequence[uuid.UUID]) -> int:
    """What was sent and answered, where to (a mailer's URL has a hash of the address), and the messages about it."""
    mine = Attempt.objects.filter(id__in=ids)
    mine.filter(response_headers__isnull=False).update(response_headers=[])
    mine.exclude(error_message="").update(error_message=ERASED_TEXT)
    return mine.update(
        url="",
        request_headers=[],
        request_body=b"",
        is_body_encrypted=False,
        response_body=None,
        summary="",
        bodies_gone=Attempt.BodiesGone.ERASED,
    )


def _erase_rows(ids: Sequence[uuid.UUID], sought: Sought, now: datetime) -> int:
    objects = Event.objects.filter(id__in=ids).exclude(object_id="").values_list("id", "object_id")
    named = [key for key, object_id in objects if sought.is_in_text(object_id)]
    Event.objects.filter(id__in=named).update(object_id="")
    return Event.objects.filter(id__in=ids).update(data=ERASED_DOCUMENT, erased_at=now)
