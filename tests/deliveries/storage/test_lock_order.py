"""All at once, on the same rows: pushes in random orders, engines, staff, maintenance. Nobody may wait in a circle.

PostgreSQL counts its deadlocks; SQLite has one lock, and nothing to test here.
"""

import io
import json
import logging
import multiprocessing
import random
import time
from collections import Counter
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, connections
from django.test import Client
from django.utils import timezone

from config.key_rotation import rotate_keys
from deliveries import resolution
from deliveries.dispatch.engine import DeliveryEngine
from deliveries.failures import groups
from deliveries.failures.case_rules import merge_cases, remove_rule, settle_rules, split_case
from deliveries.failures.cases import CaseError, snooze_case, wake_due
from deliveries.failures.trend import count_hours
from deliveries.ingest.plan import PushedObject, plan_push
from deliveries.maintenance.retention import prune
from deliveries.models import CaseRule, Delivery, FailureGroup
from deliveries.replay import ReplayError, start_replay, step
from deliveries.runtime.registry import register
from integrations.foundation.audit import Actor
from integrations.models import Integration
from integrations.services import (
    create_integration,
    create_source,
    delete_integration,
    enable_integration,
    update_integration,
)
from notifications.services import prune_notifications
from subscriptions.models import Subscription
from subscriptions.routing import config_of
from subscriptions.services import create_subscription, delete_subscription, update_subscription
from tests.factories import AccessTokenFactory
from tests.receiver import answer

SECONDS = 12
ENGINES, PUSHERS, STAFF = 2, 4, 2
OBJECTS = 40
PARCELS = 80
STAFF_ACTOR = Actor(None, "staff")


def pushes_back(exchange):
    """A `hub` receiver that answers with things, some new, in any order, and changes a parameter now and then."""
    body = json.loads(exchange.request.body)
    things = [{"id": str(n), "seen": random.random()} for n in random.sample(range(OBJECTS), 12)]
    said = {"request_id": body["request_id"], "summary": f"Taken by {random.randrange(3)}", "things": things}
    if random.random() < 0.1:
        said["parameters"] = {"cursor": random.randrange(10)}
    return answer(200, json.dumps(said).encode(), {"Content-Type": "application/json"})(exchange)


def moody(exchange):
    """Fails in a dozen ways, each a group of its own."""
    if random.random() < 0.4:
        said = json.dumps({"error": f"bin {'abcdefghijkl'[random.randrange(12)] * 3} is full"}).encode()
        return answer(random.choice([422, 500]), said, {"Content-Type": "application/json"})(exchange)
    return answer(200)(exchange)


def goes_away(exchange):
    return answer(410 if random.random() < 0.3 else 200)(exchange)


class Everybody:
    """Processes that do one thing again and again until the time is over, and report what came of it."""

    def __init__(self, seconds):
        self.until = time.monotonic() + seconds
        self.done, self.trouble = Counter(), []
        self._context = multiprocessing.get_context("fork")
        self._processes = []
        connections.close_all()

    def start(self, what):
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(target=self._run, args=(what, theirs), name=what.__name__)
        process.start()
        theirs.close()
        self._processes.append((process, ours))

    def _run(self, what, pipe):
        random.seed()
        done, trouble, said = Counter(), [], io.StringIO()
        logging.getLogger("hookdesk").addHandler(logging.StreamHandler(said))
        while time.monotonic() < self.until:
            try:
                what()
                done[what.__name__] += 1
            except (resolution.ResolutionError, ReplayError, ValidationError, CaseError) as refusal:
                done[f"{what.__name__}: {type(refusal).__name__}"] += 1
            except Exception as error:
                trouble.append(f"{what.__name__}: {error!r}")
        connections.close_all()
        pipe.send((done, trouble, said.getvalue()))

    def join(self):
        """What they logged."""
        said = []
        for process, pipe in self._processes:
            done, trouble, log = pipe.recv() if pipe.poll(60) else ({}, [f"{process.name} did not end"], "")
            process.join(5)
            process.kill()
            self.done.update(done)
            self.trouble += trouble
            said.append(log)
        return "".join(said)


def deadlocks():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return cursor.fetchone()[0]


@pytest.fixture
def quick_detection(transactional_db):
    """A deadlock is noticed after 30 ms instead of a second: more happen in the time of the test."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one lock")
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {name} SET deadlock_timeout = '30ms'")
    connection.close()
    yield
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {name} RESET deadlock_timeout")


class Desk:
    """What staff and maintenance do, each to rows that others are at."""

    def __init__(self, store, receiver):
        self.store, self.receiver = store, receiver

    def subscribe(self, path, topics, wire_format="standard", ordered=False, **values):
        integration = create_integration(
            store=self.store, actor=STAFF_ACTOR, name=path, url=self.receiver.url(path), wire_format=wire_format,
            retry_policy=[0.05] * 50, timeout=5,
        )  # fmt: skip
        return create_subscription(
            store=self.store, actor=STAFF_ACTOR, integration=integration, topics=topics, is_ordered=ordered, **values
        )

    def subscribe_all(self):
        self.subscribe("/hub", ["load.*"], wire_format="hub")
        self.subscribe("/hub2", ["load.updated"], wire_format="hub", ordered=True)
        self.subscribe("/moody", ["load.*", "thing.*"])
        self.subscribe("/ordered", ["load.*", "thing.*"], ordered=True)
        self.subscribe("/gone", ["load.*"])
        self.subscribe("/plain", ["thing.*", "load.*"])

    def any_delivery(self):
        wanted = Delivery.objects.exclude(status__in=["sending", "succeeded"]).select_related("event", "store")
        return random.choice(list(wanted.order_by("-id")[:30]) or [None])

    def decide(self):
        time.sleep(0.01)
        if (delivery := self.any_delivery()) is None:
            return
        actor = STAFF_ACTOR
        what = random.choice(["retry", "discard", "wait", "release", "edit", "edit"])
        if what == "retry":
            resolution.retry_delivery(delivery=delivery, actor=actor)
        elif what == "discard":
            resolution.discard_delivery(delivery=delivery, actor=actor)
        elif what == "wait":
            resolution.wait_for_source(delivery=delivery, actor=actor)
        elif what == "release":
            resolution.release_hold(delivery=delivery, actor=actor)
        else:
            payload = delivery.event.data | {"edited": random.random()}
            resolution.edit_delivery(delivery=delivery, payload=payload, actor=actor, update_record=True)

    def configure(self):
        choice = random.randrange(5)
        integration = random.choice(list(Integration.objects.alive()))
        if choice == 0:
            update_integration(integration=integration, actor=STAFF_ACTOR, parameters={"n": random.randrange(100)})
        elif choice == 1:
            if disabled := Integration.objects.alive().filter(is_enabled=False).first():
                enable_integration(integration=disabled, actor=STAFF_ACTOR)
            for inactive in Subscription.objects.alive().filter(is_active=False)[:3]:
                update_subscription(subscription=inactive, actor=STAFF_ACTOR, is_active=True)
        elif choice == 2:
            path = random.choice(["/gone", "/moody", "/ordered"])
            if found := Subscription.objects.alive().filter(integration__name=path).first():
                delete_subscription(subscription=found, actor=STAFF_ACTOR)
                update = {"is_ordered": found.is_ordered, "topics": found.topics, "integration": found.integration}
                create_subscription(store=self.store, actor=STAFF_ACTOR, **update)
        elif choice == 3:
            if found := Integration.objects.alive().filter(name="/gone").first():
                delete_integration(integration=found, actor=STAFF_ACTOR)
            self.subscribe("/gone", ["load.*"])
        else:
            rotate_keys()
        time.sleep(0.2)

    def replay(self):
        action = random.choice(["retry", "discard", "discard"])
        made = start_replay(filters={}, action=action, actor=STAFF_ACTOR, store=self.store, per_second=5000)
        now = timezone.now()
        while not step(made.id, now).is_over:
            now += timedelta(seconds=0.2)
        time.sleep(0.2)

    def organise(self):
        """Merge, split and snooze cases, and do what engines do for them now and then."""
        time.sleep(0.02)
        cases = list(FailureGroup.objects.cases().order_by("?")[:2])
        choice = random.randrange(5)
        if choice == 0 and len(cases) == 2:
            merge_cases(source=cases[0], target=cases[1], actor=STAFF_ACTOR)
        elif choice == 1 and cases:
            value = str(random.randrange(10))
            split_case(case=cases[0], field="weight", operator="contains", value=value, actor=STAFF_ACTOR)
        elif choice == 2 and cases:
            snooze_case(case=cases[0], actor=STAFF_ACTOR, more=random.randint(1, 20))
        elif choice == 3 and (rule := CaseRule.objects.order_by("?").first()):
            remove_rule(rule=rule, actor=STAFF_ACTOR)
        else:
            now = timezone.now()
            for catch_up in (settle_rules, wake_due, count_hours):
                catch_up(now)

    def maintain(self):
        prune(before=timezone.now() - timedelta(milliseconds=300), batch=200)
        prune_notifications(timezone.now())
        if group := FailureGroup.objects.filter(status="open").order_by("?").first():
            groups.resolve_group(group=group, actor=STAFF_ACTOR)
        time.sleep(0.05)


def test_nothing_deadlocks_and_no_push_is_refused(quick_detection, receiver, settings, monkeypatch):
    monkeypatch.setattr("deliveries.replay.runner.enqueue", lambda replay_id: None)
    settings.ENGINE_PROCESSES = ENGINES
    behaviours = {"/hub": pushes_back, "/hub2": pushes_back, "/moody": moody, "/ordered": moody, "/gone": goes_away}
    for path, behaviour in behaviours.items():
        receiver.script(behaviour, path=path)
    token = AccessTokenFactory()
    desk = Desk(token.store, receiver)
    desk.subscribe_all()
    source = create_source(store=token.store, actor=STAFF_ACTOR, name="Hub", kind="hub")
    proof, address = {"X-Hub-Access-Token": source.active_secrets(timezone.now())[0]}, urlsplit(source.address).path
    before = deadlocks()
    everybody = Everybody(SECONDS)

    def objects(count, most):
        return [{"id": str(n), "weight": random.random()} for n in random.sample(range(most), random.randint(1, count))]

    def push():
        body = {"parcels": objects(PARCELS, PARCELS), "loads": objects(4, OBJECTS), "things": objects(4, OBJECTS)}
        response = Client().generic(
            "POST", "/api/v1/push", json.dumps(body), content_type="application/json", headers=token.headers
        )
        assert response.status_code == 202, response.content

    def receive():
        one = {
            "request_id": str(random.randrange(200)),
            "load": objects(1, OBJECTS)[0],
            "thing": objects(1, OBJECTS)[0],
        }
        many = {"loads": objects(4, OBJECTS), "things": objects(4, OBJECTS)}
        body, status = random.choice([(one, 200), (many, 202)])
        response = Client().generic("POST", address, json.dumps(body), headers=proof)
        assert response.status_code == status, response.content

    def send():
        slot = register(timezone.now())
        assert slot is not None
        DeliveryEngine(slot).run(everybody.until - time.monotonic())

    roles = {
        send: ENGINES,
        push: PUSHERS,
        receive: 2,
        desk.decide: STAFF,
        desk.configure: 1,
        desk.replay: 1,
        desk.maintain: 1,
        desk.organise: 1,
    }
    for what, count in roles.items():
        for _ in range(count):
            everybody.start(what)
    said = everybody.join()
    print(dict(everybody.done), deadlocks() - before)
    assert everybody.trouble == []
    assert deadlocks() == before
    assert "deadlock" not in said
    assert "cannot reach the database" not in said
    assert everybody.done["push"] >= PUSHERS
    assert everybody.done["receive"] >= 2
    assert Delivery.objects.filter(status="succeeded").exists()
    assert FailureGroup.objects.exists()


@pytest.mark.django_db
def test_records_are_written_in_one_order_however_they_were_pushed_and_known():
    config = config_of(AccessTokenFactory().store_id)
    objects = [PushedObject("thing", str(n), {"id": str(n), "new": True}, "") for n in range(30)]
    known = {("thing", str(n)): (1, {"id": str(n)}) for n in range(0, 30, 2)}
    orders = []
    for seed in range(5):
        shuffler = random.Random(seed)
        shuffled = shuffler.sample(objects, len(objects))
        plan = plan_push(
            config=config,
            objects=shuffled,
            known=dict(shuffler.sample(list(known.items()), len(known))),
            now=timezone.now(),
        )
        orders.append([(row.type, row.external_id) for row in plan.records])
    assert orders == [sorted(orders[0])] * 5
