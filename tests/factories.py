"""Rows for tests, by factory-boy. Related rows are consistent: a delivery's event is in its subscription's store."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import factory
from django.contrib.auth import get_user_model
from django.utils import timezone
from factory.django import DjangoModelFactory

from deliveries.models import Attempt, Delivery, Event, FailureGroup, Record
from integrations.models import AccessToken, Integration, Secret, Source, SourceAddress, SourceSecret, Store
from integrations.security.tokens import create_token
from notifications.models import Notification
from subscriptions.models import Subscription, Topic


class UserFactory(DjangoModelFactory):
    """A member of staff who may do everything; give `is_superuser=False` for one who may do nothing yet."""

    class Meta:
        model = get_user_model()
        skip_postgeneration_save = True

    username = factory.Sequence(lambda number: f"staff{number}")
    email = factory.LazyAttribute(lambda user: f"{user.username}@example.com")
    is_staff = True
    is_superuser = True


class StoreFactory(DjangoModelFactory):
    class Meta:
        model = Store

    name = factory.Sequence(lambda number: f"Store {number}")


class AccessTokenFactory(DjangoModelFactory):
    """Its text, which the database does not know, is in `.text`; headers that carry it are in `.headers`."""

    class Meta:
        model = AccessToken

    store = factory.SubFactory(StoreFactory)
    name = factory.Sequence(lambda number: f"token {number}")
    scopes = ("push", "manage")
    expires_at = None

    @classmethod
    def _create(cls, model_class: type[AccessToken], *args: Any, **values: Any) -> AccessToken:
        token: Any
        token, text = create_token(**values)
        token.text = text
        token.headers = {"X-Hub-Store": str(token.store_id), "X-Hub-Access-Token": text}
        made: AccessToken = token
        return made


class IntegrationFactory(DjangoModelFactory):
    class Meta:
        model = Integration

    store = factory.SubFactory(StoreFactory)
    name = factory.Sequence(lambda number: f"Shop mirror {number}")
    slug = factory.Sequence(lambda number: f"shop-mirror-{number}")
    url = "http://127.0.0.1:9/hook"
    wire_format = "standard"
    retry_policy = "standard"


class SecretFactory(DjangoModelFactory):
    class Meta:
        model = Secret

    integration = factory.SubFactory(IntegrationFactory)
    value = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class SourceFactory(DjangoModelFactory):
    """One of GitHub's with an address and a secret, and no audit entry."""

    class Meta:
        model = Source
        skip_postgeneration_save = True

    store = factory.SubFactory(StoreFactory)
    name = factory.Sequence(lambda number: f"Repository {number}")
    slug = factory.Sequence(lambda number: f"repository-{number}")
    kind = "github"

    @factory.post_generation  # type: ignore[untyped-decorator]
    def address_and_secret(self: Any, create: bool, given: Any, **_: Any) -> None:
        token = secrets.token_urlsafe(24)
        SourceAddress.objects.create(source=self, token=token, digest=SourceAddress.digest_of(token))
        SourceSecret.objects.create(source=self, value="It's a Secret to Everybody")


class TopicFactory(DjangoModelFactory):
    class Meta:
        model = Topic

    store = factory.SubFactory(StoreFactory)
    name = factory.Sequence(lambda number: f"shipment.moved{number}")


class SubscriptionFactory(DjangoModelFactory):
    class Meta:
        model = Subscription

    store = factory.SelfAttribute("integration.store")
    integration = factory.SubFactory(IntegrationFactory)
    topics = ["shipment.*"]


class RecordFactory(DjangoModelFactory):
    class Meta:
        model = Record

    store = factory.SubFactory(StoreFactory)
    type = "shipment"
    external_id = factory.Sequence(str)
    data = factory.LazyAttribute(lambda record: {"id": record.external_id, "status": "sent"})
    created_at = factory.LazyFunction(timezone.now)
    updated_at = factory.SelfAttribute("created_at")


class EventFactory(DjangoModelFactory):
    class Meta:
        model = Event

    store = factory.SubFactory(StoreFactory)
    topic = "shipment.updated"
    object_type = "shipment"
    object_id = factory.Sequence(str)
    data = factory.LazyAttribute(lambda event: {"id": event.object_id, "status": "sent"})
    origin = Event.Origin.PUSH
    occurred_at = factory.LazyFunction(timezone.now)
    created_at = factory.SelfAttribute("occurred_at")


class FailureGroupFactory(DjangoModelFactory):
    class Meta:
        model = FailureGroup

    store = factory.SelfAttribute("integration.store")
    integration = factory.SubFactory(IntegrationFactory)
    kind = "http_500"
    message = factory.Sequence(lambda number: f"The receiver answered 500: out of paper {number}")
    fingerprint = factory.LazyAttribute(lambda group: hashlib.sha256(group.message.encode()).hexdigest())
    occurrences = 1
    first_at = factory.LazyFunction(timezone.now)
    last_at = factory.SelfAttribute("first_at")


class DeliveryFactory(DjangoModelFactory):
    """A pending one that is due. `status="failed"` (and other final ones) sets the times that belong to it."""

    class Meta:
        model = Delivery

    subscription = factory.SubFactory(SubscriptionFactory)
    store = factory.SelfAttribute("subscription.store")
    integration = factory.SelfAttribute("subscription.integration")
    event = factory.SubFactory(EventFactory, store=factory.SelfAttribute("..store"))
    topic = factory.LazyAttribute(lambda delivery: delivery.event.topic or delivery.event.intent)
    status = Delivery.Status.PENDING
    created_at = factory.LazyFunction(timezone.now)
    finished_at = factory.LazyAttribute(
        lambda delivery: None if delivery.status in Delivery.OPEN else delivery.created_at
    )
    due_at = factory.LazyAttribute(lambda delivery: delivery.created_at if delivery.finished_at is None else None)


class AttemptFactory(DjangoModelFactory):
    """A failed one: the receiver answered 500."""

    class Meta:
        model = Attempt

    delivery = factory.SubFactory(DeliveryFactory, attempt_count=1)
    number = factory.SelfAttribute("delivery.attempt_count")
    trigger = Delivery.Trigger.SCHEDULED
    outcome = Attempt.Outcome.FAILED
    started_at = factory.LazyFunction(timezone.now)
    duration_ms = 12
    method = "POST"
    url = factory.SelfAttribute("delivery.integration.url")
    request_headers = [["Content-Type", "application/json"]]
    request_body = b'{"type":"shipment.updated"}'
    response_status = 500
    response_headers = [["Content-Type", "text/plain"]]
    response_body = b"out of paper"
    error_kind = "http_500"
    error_message = "The receiver answered 500: out of paper"


class NotificationFactory(DjangoModelFactory):
    class Meta:
        model = Notification

    store = factory.SubFactory(StoreFactory)
    level = Notification.Level.ERROR
    status = Notification.Status.OPEN
    summary = "The receiver answered 500: out of paper"
    key = factory.Sequence(lambda number: f"test:{number}")
    created_at = factory.LazyFunction(timezone.now)
    last_at = factory.SelfAttribute("created_at")
    resolved_at = factory.LazyAttribute(
        lambda notification: notification.created_at if notification.status == "resolved" else None
    )
