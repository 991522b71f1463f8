"""What pages of an inner app show of outer ones: `config` may import all apps, the apps only those before them."""

from __future__ import annotations

from typing import Any

from django import template
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from deliveries.access import sees_all, stores_for, visible_to
from deliveries.admin.sources import last_requests
from deliveries.models import Delivery, FailureGroup, Record, SourceRequest
from deliveries.operational import topics as operational
from deliveries.stats.queries import Series, capped_count, in_failing_index, shown_count, throughput
from deliveries.stats.topics import known_names
from integrations.foundation.identifiers import parse_public_id
from integrations.models import Integration, Source, Store
from notifications.models import Notification
from subscriptions.models import Subscription

register = template.Library()


@register.simple_tag
def integration_series(integration: Integration) -> Series:
    """The last 24 hours of one integration."""
    return throughput(window="24h", now=timezone.now(), integrations=[integration.pk]).total


@register.simple_tag
def failing_of(integration: Integration) -> dict[str, Any]:
    """How many of its deliveries have not arrived, counted up to a limit: `number` and `text`."""
    rows = Delivery.objects.wanted().filter(integration=integration).failing().exclude(trigger=Delivery.Trigger.TEST)
    number = capped_count(in_failing_index(rows))
    return {"number": number, "text": shown_count(number)}


@register.simple_tag
def subscriptions_of(integration: Integration) -> list[Subscription]:
    return list(
        Subscription.objects.alive().defer("parameters").filter(integration=integration).order_by("created_at")[:50]
    )


@register.simple_tag
def source_requests(source: Source) -> list[SourceRequest]:
    """The last requests of a source."""
    return last_requests(source)


@register.filter
def event_page(public_id: str) -> str:
    """The address of an event's page."""
    found = parse_public_id("evt", public_id)
    return reverse("admin:deliveries_event_change", args=[found]) if found else ""


@register.simple_tag
def latest_records(store: Store) -> QuerySet[Record]:
    """The last pushes of a store, without their data."""
    return Record.objects.filter(store=store, version__gt=0).defer("data").order_by("-updated_at")[:8]


@register.simple_tag
def notification_of(group: FailureGroup | None) -> Notification | None:
    return Notification.objects.filter(failure_group=group).first() if group is not None else None


@register.simple_tag
def other_notices(user: Any) -> list[Notification]:
    """What is open and no case: an integration was disabled, data goes round in a loop."""
    rows = visible_to(Notification.objects.open().filter(failure_group=None), user)
    return list(rows.order_by("-last_at")[:50])


@register.simple_tag
def absolute_url(request: Any, path: str) -> str:
    return str(request.build_absolute_uri(path))


@register.simple_tag
def known_topics(user: Any) -> list[str]:
    """For type-ahead: those seen, described or subscribed to in this person's stores; then Hookdesk's own."""
    stores = None if sees_all(user) else list(stores_for(user).values_list("pk", flat=True))
    names = known_names(stores=stores)
    return [*names, *(topic for topic in operational.TOPICS if topic not in names)]
