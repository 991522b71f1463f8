"""Topics that are taken out of the search, since it holds personal data, or into it again."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.utils import timezone

from deliveries.models import DeliveryDocument, EventDocument, RecordDocument, SearchedStore, SearchPurge, SearchState

#: Documents that are looked at in one step.
STEP = 2_000


def topic_switched(store_id: uuid.UUID, topic: str, is_searchable: bool) -> None:
    """Within the transaction that changes the topic. Out of the search: a search leaves its documents out at once, and
    the next runs of the index delete them. In again: with its past, which the next runs look through.
    """
    if not is_searchable:
        now = timezone.now()
        SearchPurge.objects.get_or_create(store_id=store_id, topic=topic, defaults={"created_at": now})
        return
    SearchPurge.objects.filter(store_id=store_id, topic=topic).delete()
    look_again(store_id)


def look_again(store_id: uuid.UUID | None = None) -> None:
    """Have the next runs look through all past events, and the records of one store or of all, for missing ones."""
    for state in SearchState.objects.all():
        SearchState.objects.filter(pk=state.pk).update(events_from=uuid.UUID(int=state.events_upto.int + 1))
    stores = SearchedStore.objects.all()
    (stores if store_id is None else stores.filter(store_id=store_id)).delete()


def purge_next(is_over: Callable[[], bool]) -> int:
    """Delete the documents of one topic that was switched off, as far as there is time; returns how many, and -1 if
    there is none. Outside a transaction: each step is one.
    """
    purge = SearchPurge.objects.order_by("pk").first()
    if purge is None:
        return -1
    count = 0
    for model in (DeliveryDocument, EventDocument, RecordDocument):
        topic = purge.topic.split(".", 1)[0] if model is RecordDocument else purge.topic
        before = 2**63 - 1
        while not is_over():
            rows = model._default_manager.filter(store_id=purge.store_id, id__lt=before).order_by("-id")
            found = list(rows.values_list("id", "topic")[:STEP])
            if not found:
                break
            before = found[-1][0]
            if gone := [pk for pk, named in found if named == topic]:
                count += model._default_manager.filter(id__in=gone).delete()[0]
    if not is_over():
        purge.delete()
    return count
