"""Reads a change that is not saved from the form it was typed into, and which events to run it over."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from deliveries.access import visible_to
from deliveries.admin.past_events import period_of
from deliveries.simulation.choosing import ChoiceError, EventChoice, find_events
from deliveries.simulation.targets import IntegrationTarget, SubscriptionTarget, Target, TopicTarget
from integrations.admin.forms import IntegrationForm
from integrations.admin.keys import parse_number, parse_uuid
from integrations.admin.lists import SEARCH_LIMIT
from integrations.models import Integration, Store
from integrations.wire_formats import WIRE_FORMATS
from subscriptions.admin.subscription import SubscriptionForm
from subscriptions.admin.topic import TopicForm
from subscriptions.models import Subscription, Topic
from subscriptions.services.restoring import restored_values, version_of

#: Events that are run over when they were searched for.
FOUND = 50
GONE: dict[Any, Any] = {
    Subscription: _("This subscription does not exist. It may have been deleted."),
    Integration: _("This integration does not exist. It may have been deleted."),
    Topic: _("This topic does not exist. It may have been deleted."),
}


def proposal_of(request: HttpRequest, kind: str, key: str) -> tuple[Target, dict[str, Any], str]:
    """What is to change, the values as JSON, and what is wrong with the form. Another store's is not found."""
    return {"subscription": _subscription, "integration": _integration, "topic": _topic}[kind](request, key)


def chosen_events(request: HttpRequest, store: Store) -> EventChoice:
    """Raises ChoiceError."""
    given = request.POST
    topic = given.get("topic", "").replace("\0", "").strip()[:SEARCH_LIMIT]
    which = given.get("which", "last")
    if which == "find":
        text = given.get("find", "").replace("\0", "").strip()[:SEARCH_LIMIT]
        found = find_events(store=store, text=text, limit=FOUND) if text else []
        if not found:
            raise ChoiceError(
                "events.ids", gettext("No event was found. Write an id, a topic, an object’s id or a text.")
            )
        return EventChoice(ids=tuple(event.pk for event in found))
    if which == "period":
        period = period_of(given.dict())
        if period.problem:
            raise ChoiceError("events.since", period.problem)
        return EventChoice(since=period.since, until=period.until, topic=topic)
    number = parse_number(given.get("last", "").strip())
    return EventChoice(last=number or 0, topic=topic)


def _subscription(request: HttpRequest, key: str) -> tuple[Target, dict[str, Any], str]:
    rows = Subscription.objects.alive().select_related("store", "integration")
    row: Subscription = _found(visible_to(rows, request.user), parse_uuid(key))
    if number := parse_number(request.GET.get("version", "")):
        version = version_of(row, number)
        if version is None:
            raise Http404(gettext("This version does not exist."))
        values = restored_values(version)
        return SubscriptionTarget(row), values | {"integration": version.integration_id}, ""
    integrations = visible_to(Integration.objects.alive().filter(store=row.store), request.user)
    form = SubscriptionForm(request.POST, integrations=integrations)
    if not form.is_valid():
        return SubscriptionTarget(row), {}, _problems(form)
    values = form.values()
    return SubscriptionTarget(row), values | {"integration": values["integration"].pk}, ""


def _integration(request: HttpRequest, key: str) -> tuple[Target, dict[str, Any], str]:
    rows = Integration.objects.alive().select_related("store")
    row: Integration = _found(visible_to(rows, request.user), parse_number(key))
    kind = row.connector or row.wire_format
    if not row.connector and request.GET.get("kind") in WIRE_FORMATS:
        kind = request.GET["kind"]
    form = IntegrationForm(kind, request.POST, stores=Store.objects.none(), integration=row)
    if not form.is_valid():
        return IntegrationTarget(row), {}, _problems(form)
    return IntegrationTarget(row), dict(form.values()), ""


def _topic(request: HttpRequest, key: str) -> tuple[Target, dict[str, Any], str]:
    row: Topic = _found(visible_to(Topic.objects.select_related("store"), request.user), parse_number(key))
    form = TopicForm({**request.POST.dict(), "store": row.store_id}, instance=row)
    names = ("name", "description", "schema", "condition")
    if not form.is_valid():
        return TopicTarget(row), {}, _problems(form)
    values = {name: form.cleaned_data.get(name) for name in names}
    row.refresh_from_db()  # the form has written what was typed into it
    return TopicTarget(row), values, ""


def _found(rows: QuerySet[Any], key: Any) -> Any:
    """Another store's is not found, either."""
    found = rows.filter(pk=key).first() if key is not None else None
    if found is None:
        raise Http404(str(GONE[rows.model]))
    return found


def _problems(form: Any) -> str:
    return " ".join(f"{name}: {' '.join(errors)}" for name, errors in form.errors.items())
