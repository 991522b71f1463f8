"""Two stores with one row of everything, marked so that a page which shows too much is found by searching its HTML."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.utils import timezone
from django_q.models import OrmQ, Schedule, Task

from deliveries.models import (
    BulkFix,
    CaseComment,
    CaseRule,
    Engine,
    Erasure,
    Proposal,
    Recipe,
    Replay,
    Revision,
    SavedView,
    Simulation,
    SimulationItem,
    SourceRequest,
)
from integrations.foundation.audit import HOOKDESK, record_change
from integrations.models import StaffProfile, Store
from integrations.services import create_source
from notifications.models import Channel
from subscriptions.models import SubscriptionVersion
from tests.factories import (
    AccessTokenFactory,
    AttemptFactory,
    DeliveryFactory,
    EventFactory,
    FailureGroupFactory,
    IntegrationFactory,
    NotificationFactory,
    RecordFactory,
    SecretFactory,
    StoreFactory,
    SubscriptionFactory,
    TopicFactory,
    UserFactory,
)

#: In every credential: no page shows it to anybody.
SECRET = "CANARY-SECRET"
ROLES = (None, "Viewer", "Operator", "Manager")
PASSWORD = "a password that no list of common ones has"


@dataclass
class Side:
    """One store. `mark` is in the names of all that belongs to it, its people too."""

    mark: str
    store: Store
    rows: dict[str, Model] = field(default_factory=dict)


def make_side(mark: str) -> Side:
    side = Side(mark, StoreFactory(name=f"{mark} store"))
    integration = IntegrationFactory(
        store=side.store,
        name=f"{mark} integration",
        slug=f"{mark.lower()}-mirror",
        wire_format="hub",
        token=f"{SECRET}-token",
        auth_type="bearer",
        parameters={"api_key": f"{SECRET}-parameter"},
    )
    SecretFactory(integration=integration, value=f"whsec_{SECRET}")
    subscription = SubscriptionFactory(
        integration=integration, topics=[f"{mark.lower()}.*"], parameters={"password": f"{SECRET}-sub"}
    )
    make_version(subscription, mark)
    topic = TopicFactory(store=side.store, name=f"{mark.lower()}.moved", description=f"{mark} topic")
    event = EventFactory(store=side.store, object_id=f"{mark}-object", data={"id": f"{mark}-object"})
    group = FailureGroupFactory(integration=integration, message=f"{mark} is out of paper")
    delivery = DeliveryFactory(
        subscription=subscription, event=event, status="failed", failure_group=group, attempt_count=1
    )
    Revision.objects.create(
        delivery=delivery,
        number=1,
        data={"id": f"{mark}-object"},
        patch=[],
        author_name="bo",
        is_awaiting_approval=True,
    )
    part = FailureGroupFactory(
        integration=integration, message=f"{mark} is out of ink", ticket_url="https://a.example/1"
    )
    now = timezone.now()
    CaseComment.objects.create(case=group, author_name=f"{mark}-person", text=f"{mark} comment", created_at=now)
    CaseRule.objects.create(
        source=group, target=part, field="id", operator="is", value=mark, author_name=f"{mark}-person", created_at=now
    )
    notification = NotificationFactory(store=side.store, integration=integration, summary=f"{mark} is down")
    channel = Channel.objects.create(
        name=f"{mark} channel", kind="email", recipients=[f"{mark}@example.com"], auth_token=f"{SECRET}-twilio"
    )
    channel.stores.add(side.store)
    person = UserFactory(username=f"{mark}-person", is_superuser=False)
    person.stores.add(side.store)
    search = SavedView.objects.create(
        owner=person, name=f"{mark} search", query=f"q={mark}", is_shared=True, stores=[str(side.store.pk)]
    )
    source = create_source(
        store=side.store, actor=HOOKDESK, name=f"{mark} source", kind="hub", secret=f"{SECRET}-of-a-source"
    )
    request = SourceRequest.objects.create(
        source=source,
        received_at=timezone.now(),
        verdict="rejected",
        reason=f"{mark} reason",
        status=401,
        method="POST",
        headers=[["x-from", f"{mark} sender"]],
        body=f"{mark} body".encode(),
        body_size=20,
    )
    side.rows = {
        "store": side.store,
        "source": source,
        "sourcerequest": request,
        "token": AccessTokenFactory(store=side.store, name=f"{mark} token"),
        "integration": integration,
        "subscription": subscription,
        "topic": topic,
        "event": event,
        "failuregroup": group,
        "delivery": delivery,
        "attempt": AttemptFactory(delivery=delivery, number=1, response_body=f"{mark} answer".encode()),
        "record": RecordFactory(store=side.store, external_id=f"{mark}-object", data={"id": f"{mark}-object"}),
        "notification": notification,
        "channel": channel,
        "replay": Replay.objects.create(
            action="retry", created_by_name=f"{mark}-person", store=side.store, filters={"store": str(side.store.pk)}
        ),
        "bulkfix": BulkFix.objects.create(
            store=side.store,
            status=BulkFix.Status.AWAITING,
            scope={"group": str(group.pk)},
            place="/id",
            reason=f"{mark} typed it",
            author_name=f"{mark}-person",
            created_at=timezone.now(),
        ),
        "savedview": search,
        "recipe": Recipe.objects.create(
            store=side.store,
            name=f"{mark} recipe",
            integration=integration,
            kind=group.kind,
            fingerprint=group.fingerprint,
            topic=delivery.topic,
            place="/status",
            rules=[{"rule": "trim"}],
            owner_name=f"{mark}-person",
            expires_at=timezone.now() + timedelta(days=1),
            daily_cap=10,
            created_at=timezone.now(),
        ),
        "simulation": _simulation(mark, subscription, event),
        "proposal": Proposal.objects.create(
            store=side.store,
            action="edit",
            values={
                "payload": {"id": f"{mark}-object", "status": "sent"},
                "patch": [{"op": "add", "path": "/status", "value": "sent"}],
                "update_record": False,
                "status": "failed",
                "revision": 1,
            },
            reason=f"{mark} proposes it",
            delivery_id=delivery.pk,
            author_name=f"{mark} token",
            created_at=timezone.now(),
        ),
        "erasure": Erasure.objects.create(
            store=side.store,
            status="awaiting",
            value=f"{mark}@example.com",
            reason=f"{mark} asked for it",
            found={"event": 2, "deliveries_of_events": 3, "subscription": 1},
            author_name=f"{mark}-person",
            created_at=timezone.now(),
        ),
        "auditentry": record_change(
            actor=HOOKDESK, action="change", target=side.store, store=side.store, after={"name": f"{mark} store"}
        ),
    }
    return side


def make_version(subscription: Any, mark: str) -> None:
    """What the subscription was before it became what it is."""
    SubscriptionVersion.objects.create(
        subscription=subscription,
        number=1,
        since=subscription.created_at,
        integration=subscription.integration,
        topics=subscription.topics,
        filter=f"{mark.lower()}_was",
        changed_by=f"{mark}-person",
    )


def _simulation(mark: str, subscription: Any, event: Any) -> Model:
    """One that is over, with an effect on the event."""
    proposed: Any = {"filter": f"{mark.lower()}", "parameters": {"password": f"{SECRET}-proposed"}}
    found = Simulation.objects.create(
        store=subscription.store,
        kind="subscription",
        target_id=str(subscription.pk),
        target_name=f"{mark} change",
        base="",
        proposed=proposed,
        changes={"filter": ["", mark.lower()]},
        events={"last": 10},
        limit=10,
        looked_at=1,
        counts={"changed": 1},
        steps_left=1,
        status="done",
        created_by_name=f"{mark}-person",
        created_at=timezone.now(),
    )
    SimulationItem.objects.create(
        simulation=found,
        number=1,
        event_id=event.pk,
        subscription_id=subscription.pk,
        verdict="changed",
        kind="body.id changed",
    )
    return found


def make_shared() -> dict[str, Model]:
    """What belongs to no store."""
    task = {"func": "math.floor", "started": "2026-01-01T00:00Z", "stopped": "2026-01-01T00:00Z"}
    return {
        "engine": Engine.objects.order_by("pk").first() or _engine(),
        "group": Group.objects.get(name="Viewer"),
        "user": UserFactory(username="somebody", is_superuser=False),
        "schedule": Schedule.objects.order_by("pk").first() or Schedule.objects.create(func="math.floor", args="1"),
        "success": Task.objects.create(id="a" * 32, name="went well", success=True, **task),
        "failure": Task.objects.create(id="b" * 32, name="went wrong", success=False, result="no", **task),
        "ormq": OrmQ.objects.create(key="hookdesk", payload="no package"),
    }


def _engine() -> Model:
    return Engine.objects.create(
        host="here", slot=1, token=uuid.uuid4(), pid=1, started_at=timezone.now(), beat_at=timezone.now()
    )


def make_person(role: str | None, stores: list[Store] | None, *, is_superuser: bool = False) -> User:
    """`stores=None`: sees all of them."""
    name = f"{role or 'nobody'}-{'all' if stores is None else len(stores)}-{'super' if is_superuser else 'staff'}"
    user: User = UserFactory(username=name.lower(), is_superuser=is_superuser)
    if role is not None:
        user.groups.add(Group.objects.get(name=role))
    if stores is None:
        StaffProfile.objects.create(user=user, sees_all_stores=True)
    else:
        user.stores.set(stores)
    return user


#: Tables that merely looking may write to: sessions, who is on a page, and statistics, which are added up when read.
#: What somebody was told is read by looking. And the count of wrong passwords, which is a form's own doing.
_MOVING = {
    "sessions.session", "deliveries.wizardpresence", "deliveries.statsbucket", "notifications.personalnotice",
    "config.loginlimit", "usersessions.usersession",
}  # fmt: skip


def snapshot() -> dict[str, list[Any]]:
    """Every row of every table, to see what a request changed."""
    found = {}
    for model in apps.get_models(include_auto_created=True):
        if model._meta.label_lower in _MOVING or model._meta.proxy or not model._meta.managed:
            continue
        names = [each.attname for each in model._meta.concrete_fields if each.attname != "last_login"]
        found[model._meta.label_lower] = sorted(map(repr, model._base_manager.values_list(*names)))
    return found
