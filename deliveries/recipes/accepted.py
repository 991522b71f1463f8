"""The values of a field in deliveries that arrived lately, and the shape that they have."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from deliveries.models import Delivery
from deliveries.recipes.shape import Shape, shape_of
from deliveries.resolution.bulk_fixes import edited_payloads
from integrations.foundation.json_places import Place, look_up

#: Deliveries of each integration that are looked at, and of them the values that are compared.
LOOKED_AT: Final = 5_000
VALUES_LIMIT: Final = 300


def accepted_shape(deliveries: Collection[Delivery], place: Place) -> Shape | None:
    """What the field looks like in deliveries of the same integrations and topics that succeeded; None: unknown.

    `deliveries` are some of those to be fixed.
    """
    wanted = {(one.integration_id, one.topic) for one in deliveries}
    values: list[Any] = []
    for integration_id in sorted({pair[0] for pair in wanted}):
        topics = {topic for other, topic in wanted if other == integration_id}
        values += _values(integration_id, topics, place)
    return shape_of(values)


def _values(integration_id: int, topics: Collection[str], place: Place) -> list[Any]:
    rows = Delivery.objects.filter(integration_id=integration_id).order_by("-id")
    lately = rows.values_list("id", "status", "topic", "trigger")[:LOOKED_AT]
    ids = [
        pk
        for pk, status, topic, trigger in lately
        if status == Delivery.Status.SUCCEEDED and topic in topics and trigger != Delivery.Trigger.TEST
    ][:VALUES_LIMIT]
    found = list(Delivery.objects.filter(id__in=ids).select_related("event"))
    edited = edited_payloads(found)
    return [look_up(edited.get(one.pk, one.event.data), place) for one in found]
