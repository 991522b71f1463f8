"""docs/states.md is true: the database records each change of a status while everything is tried in every state."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from deliveries.ingest import publish_events, push_objects
from deliveries.maintenance.periodic import make_due_polls
from deliveries.models import Delivery
from deliveries.previews.ping import ping_now, request_ping
from deliveries.replay import ReplayError, start_replay, step
from deliveries.replay.backfill import deliver_event
from deliveries.resolution import (
    ResolutionError,
    approve_revision,
    discard_delivery,
    edit_delivery,
    reject_revision,
    release_hold,
    retry_delivery,
    wait_for_source,
)
from integrations.foundation.audit import Actor
from integrations.security.tokens import authenticate, create_token
from integrations.services import delete_integration
from subscriptions.services import delete_subscription
from tests.factories import (
    DeliveryFactory,
    EventFactory,
    IntegrationFactory,
    StoreFactory,
    SubscriptionFactory,
    UserFactory,
)
from tests.receiver import answer

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "states.md").read_text()
ADA = Actor(None, "ada")
NEW = "new"
Change = tuple[str, str]


def table(heading: str) -> list[list[str]]:
    """The rows of the page's table whose first heading this is."""
    lines = PAGE[PAGE.index(f"| {heading} |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def documented(who: str | None = None) -> set[Change]:
    """(from, to) of the page's transitions, of all or of one actor."""
    return {
        (row[0].strip("`").replace("–", NEW), row[1].strip("`"))
        for row in table("from")
        if who is None or row[3] == who
    }


# --- the database as witness ----------------------------------------------------------------------------------------

SQLITE = """
CREATE TEMP TABLE status_change (before text, after text);
CREATE TEMP TRIGGER status_made AFTER INSERT ON main.deliveries_delivery BEGIN
  INSERT INTO status_change VALUES ('new', NEW.status);
END;
CREATE TEMP TRIGGER status_changed AFTER UPDATE ON main.deliveries_delivery
WHEN OLD.status <> NEW.status OR (NEW.status = 'sending' AND OLD.lease IS NOT NEW.lease) BEGIN
  INSERT INTO status_change VALUES (OLD.status, NEW.status);
END;
"""
POSTGRESQL = """
CREATE TEMP TABLE status_change (before text, after text);
CREATE FUNCTION pg_temp.note_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO status_change VALUES ('new', NEW.status);
  ELSIF OLD.status <> NEW.status OR (NEW.status = 'sending' AND OLD.lease IS DISTINCT FROM NEW.lease) THEN
    INSERT INTO status_change VALUES (OLD.status, NEW.status);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER status_changed AFTER INSERT OR UPDATE ON deliveries_delivery
FOR EACH ROW EXECUTE FUNCTION pg_temp.note_status();
"""


class Witness:
    """What the database saw inside `with witness.looking():`, and nothing that a test only sets up."""

    def __init__(self) -> None:
        self.seen: set[Change] = set()
        statements = POSTGRESQL if connection.vendor == "postgresql" else SQLITE
        separator = r";\n(?=CREATE)" if connection.vendor == "postgresql" else r"(?<=;)\n(?=CREATE)"
        with connection.cursor() as cursor:
            for statement in re.split(separator, statements.strip()):
                cursor.execute(statement)

    @contextmanager
    def looking(self) -> Iterator[None]:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM status_change")
        yield
        with connection.cursor() as cursor:
            cursor.execute("SELECT DISTINCT before, after FROM status_change")
            self.seen |= set(cursor.fetchall())


@pytest.fixture
def witness(db: None) -> Iterator[Witness]:
    yield Witness()
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            for what in ("TRIGGER status_made", "TRIGGER status_changed", "TABLE status_change"):
                cursor.execute(f"DROP {what}")


def in_state(status: str, subscription: Any = None, **values: Any) -> Delivery:
    """A delivery of a record, as it is in this state; one that is being sent has lost its worker."""
    subscription = subscription or SubscriptionFactory()
    event = EventFactory(store=subscription.store, object_id="7", data={"id": "7", "phone": "0000000000"})
    if status == "sending":
        values = {"lease": uuid4(), "attempt_count": 1} | values
    return DeliveryFactory(subscription=subscription, event=event, status=status, **values)


# --- the page against the database ----------------------------------------------------------------------------------


def test_clients_make_deliveries_as_the_page_says(witness: Witness, receiver: Any) -> None:
    polled = SubscriptionFactory(
        integration=IntegrationFactory(url=receiver.url("/hook")),
        topics=["shipment"], poll_every=600, next_poll_at=timezone.now(),
    )  # fmt: skip
    _, text = create_token(store=polled.store, name="till", scopes=["push"])
    till = authenticate(store_id=None, token=text)
    assert till is not None
    one_by_one: dict[str, Any] = {"shipments": [{"id": "1"}]}
    with witness.looking():
        push_objects(principal=till, document=one_by_one, raw=b"")
        push_objects(principal=till, document=one_by_one | {"shipments": [{"id": "1", "n": 2}, {"id": "2"}]}, raw=b"")
        publish_events(principal=till, document={"topic": "shipment.lost", "data": {}}, raw=b"")
        assert make_due_polls(timezone.now()) == 1
        request_ping(subscription=polled, now=timezone.now())
        deliver_event(event=EventFactory(store=polled.store), subscription=polled, actor=ADA)
    assert witness.seen == documented("a client") - {(NEW, "sending")}
    with witness.looking():
        ping_now(integration=polled.integration, now=timezone.now())
    assert witness.seen == documented("a client") | {("sending", "succeeded")}


def test_engines_change_states_as_the_page_says(witness: Witness, receiver: Any, deliver: Any, settings: Any) -> None:
    settings.MAILCHIMP_BASE_URL = receiver.url("")
    receiver.script(answer(200, b'{"lists":[{"id":"ba8e5beac4"}]}'), path="/3.0/lists?count=1")
    receiver.script(answer(500, b"out of paper"), path="/broken")
    receiver.script(answer(422, b"no such sku"), path="/refused")

    def to(path: str, **integration: Any) -> Any:
        return SubscriptionFactory(integration=IntegrationFactory(url=receiver.url(path), **integration))

    key = {"api_key": "e9a74326bb9999999999b1b4e29a5722-us1"}
    for status in Delivery.OPEN:
        for path in ("/hook", "/broken", "/refused"):
            in_state(status, to(path))
        in_state(status, to("/broken", retry_policy=[]))
        in_state(status, to("/hook"), crash_count=5)
        in_state(status, to("/hook", is_enabled=False))
    buyer = SubscriptionFactory(integration=IntegrationFactory(connector="mailchimp", parameters=key))
    order = EventFactory(store=buyer.store, data={"id": "1", "email": "a@example.com", "buyer_accepts_marketing": True})
    DeliveryFactory(subscription=buyer, event=order)
    for status in set(Delivery.Status.values) - set(Delivery.OPEN):
        waiting = in_state(status, to("/hook"), is_awaiting_source=status == "failed")
        in_state("pending", waiting.subscription)

    with witness.looking():
        deliver()
        deliver(later=timedelta(days=1))
    assert witness.seen == documented("an engine")


def resend(delivery: Delivery, action: str, confirmed: int) -> None:
    replay = start_replay(
        filters={"status": delivery.status}, action=action, actor=ADA, store=delivery.store, confirmed=confirmed
    )
    while not step(replay.id, timezone.now()).is_over:
        pass


def edit(delivery: Delivery) -> Any:
    return edit_delivery(delivery=delivery, payload={"id": "7", "phone": "555"}, actor=ADA)


def decided(decide: Callable[..., Any]) -> Callable[[Delivery], None]:
    def act(delivery: Delivery) -> None:
        delivery.store.is_approval_required = True
        delivery.store.save()
        decide(revision=edit(delivery), actor=Actor.of_user(UserFactory(is_superuser=True)))

    return act


ACTIONS: dict[str, Callable[[Delivery], Any]] = {
    "resend": lambda delivery: retry_delivery(delivery=delivery, actor=ADA),
    "discard": lambda delivery: discard_delivery(delivery=delivery, actor=ADA),
    "wait": lambda delivery: wait_for_source(delivery=delivery, actor=ADA),
    "release": lambda delivery: release_hold(delivery=delivery, actor=ADA),
    "edit": edit,
    "edit and approve": decided(approve_revision),
    "edit and reject": decided(reject_revision),
    "bulk resend": lambda delivery: resend(delivery, "retry", 1),
    "bulk discard": lambda delivery: resend(delivery, "discard", 1),
    "delete the integration": lambda delivery: delete_integration(integration=delivery.integration, actor=ADA),
    "delete the subscription": lambda delivery: delete_subscription(subscription=delivery.subscription, actor=ADA),
}


def test_staff_change_states_as_the_page_says(witness: Witness) -> None:
    for status in Delivery.Status.values:
        for act in ACTIONS.values():
            delivery = in_state(status, SubscriptionFactory(integration__store=StoreFactory()))
            with witness.looking(), suppress(ResolutionError, ReplayError):
                act(delivery)
    assert witness.seen == documented("staff")


# --- the page against the code --------------------------------------------------------------------------------------


def test_the_page_knows_every_state() -> None:
    assert [row[0].strip("`") for row in table("state")] == [*Delivery.Status.values[:2], "retrying", *_finished()]
    assert {status for change in documented() for status in change} == {NEW, *Delivery.Status.values}


def _finished() -> list[str]:
    return [status for status in Delivery.Status.values if status not in Delivery.OPEN]


def test_the_diagram_shows_the_transitions_of_the_table() -> None:
    drawn = re.findall(r'<path id="(\w+)--(\w+)" class="(\w+)"', (ROOT / "docs" / "states.svg").read_text())
    assert {(before, after) for before, after, _ in drawn} == documented()
    assert {(before, after) for before, after, kind in drawn if kind == "staff"} == documented("staff")


def writes_a_status(source: str) -> bool:
    """Whether Python source sets a delivery's status: by attribute, keyword, dictionary or SQL."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Attribute(attr="status")], value=value) if _is_status(value):
                return True
            case ast.Call(func=ast.Attribute(attr="update" | "create"), keywords=keywords):
                named = {keyword.arg: keyword.value for keyword in keywords}
                if "status" in named and _is_status(named["status"]):
                    return True
                if ast.unparse(node.func) == "Delivery.objects.create":
                    return True
            case ast.Call(func=function) if ast.unparse(function) == "Delivery.objects.bulk_create":
                return True
            case ast.Dict(keys=keys, values=values):
                pairs = zip(keys, values, strict=True)
                if any(
                    isinstance(key, ast.Constant) and key.value == "status" and _is_status(value)
                    and isinstance(value, ast.Attribute) for key, value in pairs
                ):  # fmt: skip
                    return True
            case ast.Constant(value=str(text)) if _is_writing_sql(text):
                return True
    return False


def _is_status(node: ast.expr) -> bool:
    written = ast.unparse(node)
    return bool(re.match(r"(Delivery\.)?Status\.[A-Z]+$", written)) or written.strip("'") in Delivery.Status.values


def _is_writing_sql(text: str) -> bool:
    """A statement, or the part of one, that inserts deliveries or sets their status; conditions do not count."""
    flat = " ".join(text.split())
    _, update, rest = flat.partition("UPDATE deliveries_delivery")
    is_update = bool(update) and re.search(r"\bstatus =", re.split(r"\bWHERE\b", rest)[0])
    is_part = re.match(r"status = '\w+', lease", flat)
    return bool(is_update or is_part or "INSERT INTO deliveries_delivery " in flat)


def test_only_the_modules_on_the_page_write_a_status() -> None:
    named = {name for row in table("from") for name in re.findall(r"`([\w/]+\.py)`", row[4])}
    writing = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "deliveries").rglob("*.py")
        if "migrations" not in path.parts and writes_a_status(path.read_text())
    }
    assert writing == named
