"""What arrived lately at the same integrations: the shape of a field, and the fields in which failures differ."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from deliveries.models import Delivery
from deliveries.recipes.shape import Shape, shape_of
from deliveries.resolution.bulk_fixes import edited_payloads
from integrations.foundation.json_places import Place, look_up

#: Deliveries of each integration that are looked at, and of them the payloads that are compared.
LOOKED_AT: Final = 5_000
PAYLOADS_LIMIT: Final = 300
#: Of the failing ones, so many must be unlike what arrived before a field is suspected for that.
SUSPECT_SHARE: Final = 0.6


def accepted_payloads(deliveries: Collection[Delivery]) -> list[dict[str, Any]]:
    """The payloads of deliveries with the same integrations and topics that succeeded, the latest first.

    `deliveries` are some of those to be fixed.
    """
    wanted = {(one.integration_id, one.topic) for one in deliveries}
    found: list[dict[str, Any]] = []
    for integration_id in sorted({pair[0] for pair in wanted}):
        found += _payloads(integration_id, {topic for other, topic in wanted if other == integration_id})
    return found


def _payloads(integration_id: int, topics: Collection[str]) -> list[dict[str, Any]]:
    rows = Delivery.objects.filter(integration_id=integration_id).order_by("-id")
    lately = rows.values_list("id", "status", "topic", "trigger")[:LOOKED_AT]
    ids = [
        pk
        for pk, status, topic, trigger in lately
        if status == Delivery.Status.SUCCEEDED and topic in topics and trigger != Delivery.Trigger.TEST
    ][:PAYLOADS_LIMIT]
    found = list(Delivery.objects.filter(id__in=ids, erased_at=None).select_related("event"))
    edited = edited_payloads(found)
    return [edited.get(one.pk) or one.event.data for one in found]


def accepted_shape(deliveries: Collection[Delivery], place: Place) -> Shape | None:
    """What the field looks like in those that arrived; None: unknown."""
    return shape_of(look_up(payload, place) for payload in accepted_payloads(deliveries))


def fields_unlike(
    places: Iterable[Place], failing: Sequence[dict[str, Any]], accepted: Sequence[dict[str, Any]]
) -> list[Place]:
    """The fields whose failing values are mostly unlike those that arrived, the most telling first."""
    found = []
    for place in places:
        shape = shape_of(look_up(payload, place) for payload in accepted)
        if shape is None:
            continue
        unlike = sum(bool(shape.why_unlike(look_up(payload, place))) for payload in failing)
        if unlike >= len(failing) * SUSPECT_SHARE:
            found.append((unlike, place))
    return [place for _, place in sorted(found, key=lambda pair: -pair[0])]
