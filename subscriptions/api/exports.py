"""Subscriptions and topics as files (docs/contract.md#exports)."""

from __future__ import annotations

from django.db.models import QuerySet
from rest_framework.request import Request

from integrations.api.authentication import principal_of
from integrations.api.exports import export_view
from subscriptions import exported
from subscriptions.models import Subscription, Topic


def _subscriptions(request: Request) -> QuerySet[Subscription]:
    return Subscription.objects.alive().filter(store_id=principal_of(request).store_id)


def _topics(request: Request) -> QuerySet[Topic]:
    return Topic.objects.filter(store_id=principal_of(request).store_id)


#: By the name in the path.
VIEWS = {
    "subscriptions": export_view("subscriptions", exported.SUBSCRIPTIONS, _subscriptions),
    "topics": export_view("topics", exported.TOPICS, _topics),
}
