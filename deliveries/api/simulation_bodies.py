"""The answers of simulations: counts, groups of alike effects, and some events of each with both requests."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db.models import Count
from django.utils import timezone
from rest_framework import serializers

from deliveries.api.serializers import ObjectSerializer
from deliveries.models import Delivery, Event, Simulation, SimulationItem
from deliveries.previews.preview import preview
from deliveries.simulation.choosing import MOST, MOST_IDS
from deliveries.simulation.comparers import Found
from deliveries.simulation.comparing import Finding, Verdict
from deliveries.simulation.runner import progress_of
from deliveries.simulation.service import differing, groups_of
from deliveries.simulation.targets import Target, TopicTarget, target_of
from deliveries.simulation.walking import Progress
from integrations.api.serializers import IntegrationBodySerializer
from integrations.foundation.identifiers import public_id
from subscriptions.api.serializers import SubscriptionBodySerializer, TopicBodySerializer
from subscriptions.models import Subscription

#: Events and groups that an answer has of each verdict; requests of so many events.
SAMPLE: Final = 10
GROUPS: Final = 30
#: The API's word, and the verdict.
_LISTS: Final = {
    "newly_matched": Verdict.NEWLY_MATCHED,
    "no_longer_matched": Verdict.NO_LONGER_MATCHED,
    "changed": Verdict.CHANGED,
    "errors": Verdict.ERROR,
    "unknown": Verdict.UNKNOWN,
    "violations": Verdict.VIOLATION,
    "conforms": Verdict.CONFORMS,
}


class EventChoiceSerializer(serializers.Serializer[Any]):
    """One of `last`, `since` and `ids`."""

    last = serializers.IntegerField(required=False, min_value=1, max_value=MOST, help_text="That concern the change.")
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)
    ids = serializers.ListField(child=serializers.CharField(), required=False, max_length=MOST_IDS, help_text="evt_…")
    topic = serializers.CharField(required=False, help_text="A topic, an intent, or shipment.*")
    contains = serializers.CharField(required=False, help_text="An object's id, or a text in the data.")


class _RunSerializer(serializers.Serializer[Any]):
    events = EventChoiceSerializer(required=False, help_text="The last 1,000, if it is absent.")
    background = serializers.BooleanField(required=False, help_text="Answer with an id; for up to 10,000 events.")


class SimulateSubscriptionBodySerializer(_RunSerializer, SubscriptionBodySerializer):
    url = None  # type: ignore[assignment]  # the integration's
    hub_secret = None  # type: ignore[assignment]


class SimulateIntegrationBodySerializer(_RunSerializer, IntegrationBodySerializer):
    name = serializers.CharField(required=False)


class SimulateTopicBodySerializer(_RunSerializer, TopicBodySerializer):
    name = serializers.CharField(required=False)


class SimulatedRequestSerializer(serializers.Serializer[Any]):
    method = serializers.CharField()
    url = serializers.CharField(allow_blank=True)
    headers = serializers.DictField(child=serializers.CharField())
    body = serializers.CharField(allow_blank=True)


class SimulatedEventSerializer(serializers.Serializer[Any]):
    event = serializers.CharField()
    topic = serializers.CharField(allow_null=True)
    object = ObjectSerializer(allow_null=True)
    subscription = serializers.CharField(allow_null=True)
    kind = serializers.CharField(allow_blank=True)
    before = SimulatedRequestSerializer(allow_null=True, help_text="Credentials masked; null: nothing is sent.")
    after = SimulatedRequestSerializer(allow_null=True)


class SimulatedGroupSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField(allow_blank=True)
    count = serializers.IntegerField()


class SimulatedListSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    groups = SimulatedGroupSerializer(many=True)
    sample = SimulatedEventSerializer(many=True)


class ResendSerializer(serializers.Serializer[Any]):
    total = serializers.IntegerField(help_text="Deliveries whose requests differ.")
    delivered = serializers.IntegerField(help_text="Of them: receivers would get these twice.")


class SimulationSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(allow_null=True, help_text="Null: nothing was stored.")
    status = serializers.ChoiceField(Simulation.Status.values)
    looked_at = serializers.IntegerField(help_text="Events that were compared.")
    passed_over = serializers.IntegerField(help_text="Events that the change cannot concern.")
    complete = serializers.BooleanField(help_text="All chosen events were looked at.")
    stopped_because = serializers.CharField(allow_null=True)
    same = serializers.IntegerField()
    unwanted = serializers.IntegerField(help_text="Wanted neither way.")
    newly_matched = SimulatedListSerializer()
    no_longer_matched = SimulatedListSerializer()
    changed = SimulatedListSerializer()
    errors = SimulatedListSerializer()  # type: ignore[assignment]  # the API's word
    unknown = SimulatedListSerializer(help_text="Of a topic's condition: what the object was before is not kept.")
    violations = SimulatedListSerializer()
    conforms = SimulatedListSerializer(help_text="Data that a topic's schema refuses today and would take.")
    resend = ResendSerializer(allow_null=True, help_text="What saving could resend; null until it is done.")
    saved_at = serializers.DateTimeField(allow_null=True)
    saved_by = serializers.CharField(allow_null=True)


@dataclass(frozen=True, slots=True)
class Listed:
    """What an answer says of one verdict."""

    count: int = 0
    groups: Sequence[tuple[str, int]] = ()
    sample: Sequence[Found] = ()


def answer_of(target: Target, values: Mapping[str, Any], progress: Progress, found: Sequence[Found]) -> dict[str, Any]:
    """The answer of a simulation that was not stored."""
    why = progress.stopped_because or ("" if progress.is_over else "It took too long: use background.")
    lists = {verdict: _listed([one for one in found if one.finding.verdict == verdict]) for verdict in _LISTS.values()}
    return _json(progress, lists, _Requests(target, values), id=None, status=Simulation.Status.DONE, why=why)


def report_of(simulation: Simulation) -> dict[str, Any]:
    """The answer of one that runs in the background, as far as it is."""
    lists = {}
    for verdict in _LISTS.values():
        if not (count := simulation.counts.get(verdict.value, 0)):
            continue
        groups = groups_of(simulation, verdict)
        items = SimulationItem.objects.filter(
            simulation=simulation, number__in=[group.sample for group in groups[:SAMPLE]]
        ).order_by("number")
        sample = [Found(item.event_id, item.subscription_id, Finding(verdict, item.kind)) for item in items]
        lists[verdict] = Listed(count, [(group.kind, group.count) for group in groups], sample)
    progress = progress_of(simulation)
    progress.is_over = simulation.status == Simulation.Status.DONE
    requests = _Requests(target_of(simulation), simulation.proposed)
    why = simulation.stopped_because
    return _json(
        progress,
        lists,
        requests,
        why=why,
        id=simulation.public_id,
        status=simulation.status,
        resend=_resend(simulation) if simulation.is_over else None,
        saved_at=simulation.saved_at,
        saved_by=simulation.saved_by_name or None,
    )


def _resend(simulation: Simulation) -> dict[str, int]:
    by_status = dict(differing(simulation).order_by().values_list("status").annotate(count=Count("id")))
    return {"total": sum(by_status.values()), "delivered": by_status.get(Delivery.Status.SUCCEEDED, 0)}


def _listed(found: Sequence[Found]) -> Listed:
    """One of each group comes first in the sample."""
    firsts: dict[str, Found] = {}
    others: list[Found] = []
    for one in found:
        if firsts.setdefault(one.finding.kind, one) is not one:
            others.append(one)
    kinds = Counter(one.finding.kind for one in found)
    return Listed(len(found), kinds.most_common(GROUPS), [*firsts.values(), *others][:SAMPLE])


def _json(
    progress: Progress, lists: Mapping[Verdict, Listed], requests: _Requests, *, why: str, **shown: Any
) -> dict[str, Any]:
    listed = {name: _list(lists.get(verdict, Listed()), requests) for name, verdict in _LISTS.items()}
    shown = {"resend": None, "saved_at": None, "saved_by": None} | shown
    shown |= {
        "looked_at": progress.looked_at,
        "passed_over": progress.passed_over,
        "complete": progress.is_over and not why,
        "stopped_because": why or None,
        "same": progress.counts.get("same", 0),
        "unwanted": progress.counts.get("unwanted", 0),
        **listed,
    }
    return dict(SimulationSerializer(shown).data)


def _list(listed: Listed, requests: _Requests) -> dict[str, Any]:
    events = Event.objects.select_related("store").in_bulk([one.event_id for one in listed.sample])
    return {
        "count": listed.count,
        "groups": [{"kind": kind, "count": count} for kind, count in listed.groups],
        "sample": [_event(one, events[one.event_id], requests) for one in listed.sample if one.event_id in events],
    }


def _event(one: Found, event: Event, requests: _Requests) -> dict[str, Any]:
    before, after = requests.of(one.subscription_id, event)
    return {
        "event": event.public_id,
        "topic": event.topic,
        "object": event,
        "subscription": public_id("nsub", one.subscription_id) if one.subscription_id is not None else None,
        "kind": one.finding.kind,
        "before": before,
        "after": after,
    }


class _Requests:
    """Builds the requests of the events that are shown, both ways, credentials masked."""

    def __init__(self, target: Target | None, values: Mapping[str, Any]) -> None:
        self._target, self._values, self._now = target, values, timezone.now()

    def of(self, subscription_id: uuid.UUID | None, event: Event) -> tuple[Any, Any]:
        if self._target is None or isinstance(self._target, TopicTarget):
            return None, None
        try:
            before, after = self._target.pair(self._values, subscription_id)
        except ValidationError:  # of one that ran a while ago: it cannot be made any more
            return None, None
        return self._shown(before, event), self._shown(after, event)

    def _shown(self, row: Subscription, event: Event) -> dict[str, Any] | None:
        shown = preview(subscription=row, event=event, now=self._now)
        if shown.request is None or not shown.matches:
            return None
        body = shown.request.body.decode(errors="replace")
        headers = dict(shown.request.headers)
        return {"method": shown.request.method, "url": shown.request.url, "headers": headers, "body": body}
