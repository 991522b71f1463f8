"""One group of alike effects, and one event both ways: its requests are built again, credentials masked."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest
from django.utils.translation import gettext as _

from deliveries.admin.compare import Section, head_of, readable_text, section_of
from deliveries.admin.simulation_texts import SECTIONS
from deliveries.models import Delivery, Event, Simulation, SimulationItem
from deliveries.previews.preview import Preview, preview
from deliveries.simulation.conditions import TOO_DEAR, Change, change_of, emitted
from deliveries.simulation.targets import TopicTarget, target_of
from integrations.admin.keys import parse_number
from subscriptions.budget import Allowance, BudgetExceeded
from subscriptions.routing import TopicRule

SHOWN = 50
#: Of the numbers that the column holds.
LARGEST = 2**31 - 1
TITLES = {verdict: title for verdict, title, _hint in SECTIONS}


def group_context(request: HttpRequest, simulation: Simulation) -> dict[str, Any]:
    """`?verdict=` and `kind=` (any, if it is absent), the events of which are listed, from the item `after` on."""
    verdict, kind = request.GET.get("verdict", ""), request.GET.get("kind", "").replace("\0", "")
    if verdict not in TITLES:
        verdict = SECTIONS[0][0]
    rows = SimulationItem.objects.filter(simulation=simulation, verdict=verdict).order_by("number")
    if "kind" in request.GET:
        rows = rows.filter(kind=kind)
    after = parse_number(request.GET.get("after", ""))
    if after is not None:
        rows = rows.filter(number__gt=min(after, LARGEST))
    found = list(rows[: SHOWN + 1])
    events = Event.objects.defer("data").in_bulk([item.event_id for item in found[:SHOWN]])
    asked = {"verdict": verdict} | ({"kind": kind} if "kind" in request.GET else {})
    more = urlencode(asked | {"after": found[SHOWN - 1].number}) if len(found) > SHOWN else ""
    return {
        "simulation": simulation,
        "section": str(TITLES[verdict]),
        "kind": kind,
        "rows": [(item, events.get(item.event_id)) for item in found[:SHOWN]],
        "more": more,
    }


def item_context(simulation: Simulation, number: int, now: datetime) -> dict[str, Any]:
    """Raises Http404."""
    item = SimulationItem.objects.filter(simulation=simulation, number=min(number, LARGEST)).first()
    event = Event.objects.select_related("store").filter(pk=item.event_id).first() if item is not None else None
    if item is None or event is None:
        raise Http404(_("This event does not exist. It may have been pruned."))
    alike = SimulationItem.objects.filter(simulation=simulation, verdict=item.verdict, kind=item.kind)
    context = {
        "simulation": simulation,
        "item": item,
        "event": event,
        "section": TITLES.get(item.verdict, item.verdict),
        "group": urlencode({"verdict": item.verdict, "kind": item.kind}),
        "previous": alike.filter(number__lt=item.number).order_by("-number").first(),
        "following": alike.filter(number__gt=item.number).order_by("number").first(),
    }
    target = target_of(simulation)
    if target is None:
        return context | {"problem": _("What this would change has been deleted.")}
    try:
        if isinstance(target, TopicTarget):
            return context | _topic_context(event, *target.rules(simulation.proposed))
        before, after = target.pair(simulation.proposed, item.subscription_id)
    except ValidationError as error:
        return context | {
            "problem": _("The change cannot be made any more: %(why)s") % {"why": " ".join(error.messages)}
        }
    sides = [preview(subscription=row, event=event, now=now) for row in (before, after)]
    return context | {
        "is_stale": target.base != simulation.base,
        "sides": list(zip((_("Today"), _("With the change")), sides, strict=True)),
        "sections": _request_sections(*sides),
        "delivery": Delivery.objects.filter(event=event, subscription=before.pk).order_by("-id").first(),
    }


def _request_sections(before: Preview, after: Preview) -> list[Section]:
    """Nothing stands for what would not be sent."""
    sides = [side.request if side.matches else None for side in (before, after)]
    heads = [head_of(f"{side.method} {side.url}", side.headers) if side else "" for side in sides]
    bodies = [readable_text(side.body.decode(errors="replace")) if side else "" for side in sides]
    return [section_of(_("Request"), heads[0], heads[1]), section_of(_("Body"), bodies[0], bodies[1])]


def _topic_context(event: Event, before: TopicRule, after: TopicRule) -> dict[str, Any]:
    """What the schema says of the data, and whether the condition is true of the change that it came from."""
    sections = _schema_sections(event, before, after)
    change = change_of(event) if before.condition != after.condition else None
    if change is None or not change.is_known:
        return {"sections": sections}
    texts = [_emitted_text(rule, change) for rule in (before, after)]
    return {"sections": [section_of(_("Condition"), *texts), *sections], "change": change}


def _emitted_text(rule: TopicRule, change: Change) -> str:
    try:
        outcome = emitted(rule, change, Allowance())
    except BudgetExceeded:
        return TOO_DEAR
    words = _("%(topic)s is emitted") if outcome.is_wanted else _("%(topic)s is not emitted")
    return outcome.error or words % {"topic": rule.name}


def _schema_sections(event: Event, before: TopicRule, after: TopicRule) -> list[Section]:
    whole = _("the data")
    texts = [
        "\n".join(f"{found.place() or whole}: {found.message}" for found in rule.violations(event.data))
        for rule in (before, after)
    ]
    return [section_of(_("Violations"), texts[0] or _("none"), texts[1] or _("none"))]
