"""Turns filters into a queryset of deliveries: the API's list, the admin's lists, replays.

Ids sort by time, so `since` and `until` also bound the id: the primary key's index then ends the search
instead of a walk through everything that is newer. A day of slack covers clock changes.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.expressions import RawSQL
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext

from deliveries.models import BulkFixItem, Delivery, Event, ReplayItem, Revision, SimulationItem
from deliveries.stats.topics import known_names
from integrations.foundation.identifiers import first_id_at, parse_public_id
from integrations.foundation.written import grouped
from integrations.models import Integration, Store

#: How many events of one object are examined in a search by object id.
OBJECT_EVENTS_LIMIT = 1_000
IDS_LIMIT = 1_000
ID_SLACK = timedelta(days=1)
_SPELLINGS = {"failure_group": "group"}

Deliveries = models.QuerySet[Delivery]


class FilterError(ValueError):
    """An unknown filter, or an invalid value; `field` names the filter."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


def clean_filters(params: Mapping[str, Any]) -> dict[str, str]:
    """What is set, as text that can be stored and put into a URL. Raises FilterError for unknown names."""
    cleaned = {}
    for given, value in params.items():
        name = _SPELLINGS.get(given, given)
        if name not in _FILTERS:
            words = gettext("Unknown filter %(name)r. Available filters: %(known)s.")
            raise FilterError(given, words % {"name": given, "known": ", ".join(_FILTERS)})
        if text := _as_text(value):
            cleaned[name] = text
    return cleaned


def apply_filters(queryset: Deliveries, params: Mapping[str, Any]) -> Deliveries:
    """`queryset` with every filter of `params` that is not empty.

    `status` (one or several, comma-separated), `integration` (slug, uuid or primary key), `topic` (exact, or
    `shipment.*`), `since` and `until` (ISO 8601, the latter exclusive), `finished_since` and `finished_until` (when it
    ended, likewise), `q` (an id of delivery, event or request,
    an object's id, or how a topic begins), `store` (one or several), `group` (one or several), `subscription`,
    `replay` (what a bulk action processed), `left_alone` (what it skipped), `bulk_fix` (what a bulk fix is for),
    `simulation` (whose requests a simulated change makes different),
    `approval` (`awaited`: an edited payload waits for a second person), `ids` (deliveries, comma-separated).
    Raises FilterError, a ValueError, for unknown names and values.
    """
    cleaned = clean_filters(params)
    for name, text in cleaned.items():
        queryset = _FILTERS[name](queryset, text, cleaned)
    return queryset


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, models.Model):
        return str(value.pk)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(filter(None, map(_as_text, value)))
    return str(value).strip().replace("\0", "")


def _status(queryset: Deliveries, text: str, _: Mapping[str, str]) -> Deliveries:
    wanted = [word.strip() for word in text.split(",") if word.strip()]
    for word in wanted:
        if word not in Delivery.Status.values:
            known = ", ".join(Delivery.Status.values)
            words = gettext("Unknown status %(status)r. Available statuses: %(known)s.")
            raise FilterError("status", words % {"status": word, "known": known})
    return queryset.filter(status__in=wanted)


def _store_ids(text: str) -> list[uuid.UUID]:
    try:
        return [uuid.UUID(word.strip()) for word in text.split(",")]
    except ValueError:
        raise FilterError("store", gettext("%(text)r is not a store id.") % {"text": text}) from None


def _store(queryset: Deliveries, text: str, _: Mapping[str, str]) -> Deliveries:
    ids = _store_ids(text)
    if Store.objects.filter(id__in=ids).count() != len(set(ids)):
        raise FilterError("store", gettext("Unknown store %(text)r.") % {"text": text})
    return queryset.filter(store_id=ids[0]) if len(ids) == 1 else queryset.filter(store_id__in=ids)


def _integration(queryset: Deliveries, text: str, cleaned: Mapping[str, str]) -> Deliveries:
    """Includes deleted integrations: their deliveries are kept."""
    candidates = Integration.objects.all()
    if "store" in cleaned:
        candidates = candidates.filter(store_id__in=_store_ids(cleaned["store"]))
    ids = list(candidates.filter(slug=text).values_list("id", flat=True))
    if not ids and (number := parse_public_id("int", text)):
        ids = list(candidates.filter(uuid=number).values_list("id", flat=True))
    if not ids and text.isascii() and text.isdecimal() and len(text) < 19:
        ids = list(candidates.filter(id=int(text)).values_list("id", flat=True))
    if not ids:
        raise FilterError("integration", gettext("Unknown integration %(text)r.") % {"text": text})
    return queryset.filter(integration_id=ids[0]) if len(ids) == 1 else queryset.filter(integration_id__in=ids)


def _subscription(queryset: Deliveries, text: str, _: Mapping[str, str]) -> Deliveries:
    wanted = parse_public_id("nsub", text)
    if wanted is None:
        raise FilterError(
            "subscription", gettext("%(text)r is not the id of a subscription (nsub_…).") % {"text": text}
        )
    return queryset.filter(subscription_id=wanted)


def _topic(queryset: Deliveries, text: str, _: Mapping[str, str]) -> Deliveries:
    if text.endswith(".*"):
        return queryset.filter(topic__startswith=text[:-1])
    return queryset if text in ("*", "all") else queryset.filter(topic=text)


def _since(queryset: Deliveries, text: str, _: Mapping[str, str]) -> Deliveries:
    since = moment_of("since", text)
    return queryset.filter(created_at__gte=since, id__gte=first_id_at(since - ID_SLACK))


def _until(queryset: Deliveries, text: str, _: Mapping[str, str]) -> Deliveries:
    until = moment_of("until", text)
    return queryset.filter(created_at__lt=until, id__lt=first_id_at(until + ID_SLACK))


def _finished_since(queryset: Deliveries, text: str, _: Mapping[str, str]) -> Deliveries:
    return queryset.filter(finished_at__gte=moment_of("finished_since", text))


def _finished_until(queryset: Deliveries, text: str, _: Mapping[str, str]) -> Deliveries:
    """What has ended by then was made by then."""
    until = moment_of("finished_until", text)
    return queryset.filter(finished_at__lt=until, id__lt=first_id_at(until + ID_SLACK))


def moment_of(field: str, text: str) -> datetime:
    """A time or a day (its beginning) in ISO 8601; UTC if no zone is given. Raises FilterError."""
    try:
        # A plus sign that was not escaped in a URL arrives as a space.
        moment = parse_datetime(re.sub(r" (\d\d:?\d\d)$", r"+\1", text) if "T" in text else text)
        if moment is None and (day := parse_date(text)):
            moment = datetime.combine(day, time.min)
    except ValueError:
        moment = None
    if moment is None or not 1970 < moment.year < 9000:
        words = gettext("%(text)r is not a time. Write it as 2026-01-31 or 2026-01-31T08:00:00Z.")
        raise FilterError(field, words % {"text": text})
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _group(queryset: Deliveries, text: str, _: Mapping[str, str]) -> Deliveries:
    """One or several; `none` is what belongs to none."""
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word != "none" and (not (word.isascii() and word.isdecimal()) or len(word) > 18):
            raise FilterError("group", gettext("%(text)r is not the number of a failure group.") % {"text": word})
    numbers = [int(word) for word in words if word != "none"]
    if "none" in words:
        return queryset.filter(Q(failure_group=None) | Q(failure_group_id__in=numbers))
    return (
        queryset.filter(failure_group_id=numbers[0])
        if len(numbers) == 1
        else queryset.filter(failure_group_id__in=numbers)
    )


def _approval(queryset: Deliveries, text: str, _: Mapping[str, str]) -> Deliveries:
    if text != "awaited":
        raise FilterError("approval", gettext("%(text)r is not possible here: only awaited.") % {"text": text})
    return queryset.filter(Exists(Revision.objects.filter(delivery=OuterRef("pk"), is_awaiting_approval=True)))


def _ids(queryset: Deliveries, text: str, _: Mapping[str, str]) -> Deliveries:
    words = [word.strip() for word in text.split(",")]
    if len(words) > IDS_LIMIT:
        message = gettext("At most %(number)s ids at once. Use filters for more.")
        raise FilterError("ids", message % {"number": grouped(IDS_LIMIT)})
    found = []
    for word in words:
        if (wanted := parse_public_id("dlv", word)) is None:
            raise FilterError("ids", gettext("%(text)r is not the id of a delivery (dlv_…).") % {"text": word[:60]})
        found.append(wanted)
    return queryset.filter(id__in=found)


def _replay(queryset: Deliveries, text: str, _: Mapping[str, str]) -> Deliveries:
    return queryset.filter(id__in=_items(text, "replay", is_left_alone=False))


def _left_alone(queryset: Deliveries, text: str, _: Mapping[str, str]) -> Deliveries:
    return queryset.filter(id__in=_items(text, "left_alone", is_left_alone=True))


def _items(text: str, field: str, *, is_left_alone: bool) -> Any:
    try:
        replay_id = uuid.UUID(text)
    except ValueError:
        raise FilterError(
            field, gettext("%(text)r is not the id of a bulk resend or discard.") % {"text": text}
        ) from None
    return ReplayItem.objects.filter(replay_id=replay_id, is_left_alone=is_left_alone).values("delivery_id")


def _bulk_fix(queryset: Deliveries, text: str, _: Mapping[str, str]) -> Deliveries:
    wanted = parse_public_id("fix", text)
    if wanted is None:
        raise FilterError("bulk_fix", gettext("%(text)r is not the id of a bulk fix (fix_…).") % {"text": text})
    return queryset.filter(id__in=BulkFixItem.objects.filter(fix_id=wanted).values("delivery_id"))


def _simulation(queryset: Deliveries, text: str, _: Mapping[str, str]) -> Deliveries:
    """Whose requests would differ. By event and subscription together: one event may go to several."""
    try:
        simulation_id = uuid.UUID(text)
    except ValueError:
        raise FilterError("simulation", gettext("%(text)r is not the id of a simulation.") % {"text": text}) from None
    items = SimulationItem.objects.filter(simulation_id=simulation_id, verdict="changed")
    mine = items.filter(event_id=OuterRef("event_id"), subscription_id=OuterRef("subscription_id"))
    return queryset.filter(Exists(mine), event_id__in=items.values("event_id"))


def _search(queryset: Deliveries, text: str, cleaned: Mapping[str, str]) -> Deliveries:
    """The most exact interpretation that has results. Each uses an index, so a search is cheap."""
    for prefix in ("dlv", "notif"):
        if (wanted := parse_public_id(prefix, text)) and queryset.filter(id=wanted).exists():
            return queryset.filter(id=wanted)
    if (wanted := parse_public_id("evt", text)) and queryset.filter(event_id=wanted).exists():
        return queryset.filter(event_id=wanted)
    stores = _store_ids(cleaned["store"]) if "store" in cleaned else None
    # The condition of the index `event_object`, word for word: SQLite does not use a partial index otherwise.
    indexed = RawSQL("NOT (deliveries_event.object_id = '')", [], output_field=models.BooleanField())
    events = Event.objects.filter(indexed, object_id=text[:255])
    if stores is not None:
        events = events.filter(store_id__in=stores)
    found = list(events.order_by("-id").values_list("id", flat=True)[:OBJECT_EVENTS_LIMIT])
    names = known_names(beginning=text, stores=stores)
    if found and names:
        return queryset.filter(Q(event_id__in=found) | Q(topic__in=names))
    return queryset.filter(event_id__in=found) if found else queryset.filter(topic__in=names)


_FILTERS: dict[str, Callable[[Deliveries, str, Mapping[str, str]], Deliveries]] = {
    "store": _store,
    "status": _status,
    "integration": _integration,
    "subscription": _subscription,
    "topic": _topic,
    "group": _group,
    "replay": _replay,
    "left_alone": _left_alone,
    "approval": _approval,
    "bulk_fix": _bulk_fix,
    "simulation": _simulation,
    "ids": _ids,
    "since": _since,
    "until": _until,
    "finished_since": _finished_since,
    "finished_until": _finished_until,
    "q": _search,
}
