"""What must hold after every step, read from the database past the code that wrote it."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from deliveries.models import Attempt, Delivery, Event, FailureGroup, Revision
from deliveries.stats.queries import throughput, with_failing
from notifications.models import Notification
from tests.deliveries.state_machine.wire import Wire

OPEN = {"pending", "sending", "retrying"}
FINAL = {"succeeded", "failed", "discarded", "superseded"}
#: In these, an ordered delivery holds those behind it.
HOLDING = OPEN | {"failed"}
#: What becomes of a delivery by itself, when nobody on the staff does anything.
BY_ITSELF = {
    "pending": {"sending"},
    "retrying": {"sending"},
    "sending": {"pending", "retrying", "succeeded", "failed"},
    "failed": {"superseded"},
    "succeeded": set(),
    "discarded": set(),
    "superseded": set(),
}
#: What is looked at of a delivery.
COLUMNS = (
    "id", "event_id", "subscription_id", "status", "due_at", "lease", "attempt_count", "revision", "order_key",
    "failure_group_id", "is_awaiting_source", "created_at", "finished_at", "trigger",
)  # fmt: skip

Row = dict[str, Any]


@dataclass
class State:
    """The tables of one moment."""

    now: datetime
    deliveries: dict[uuid.UUID, Row]
    attempts: dict[uuid.UUID, list[Row]]
    groups: dict[int, Row]
    notifications: dict[int, str]
    events: dict[uuid.UUID, Row]
    awaiting_approval: set[uuid.UUID]
    #: Of subscriptions and integrations that were deleted.
    unwanted: set[uuid.UUID]

    @classmethod
    def read(cls) -> State:
        attempts: dict[uuid.UUID, list[Row]] = defaultdict(list)
        for row in Attempt.objects.order_by("number").values("id", "delivery_id", "number", "outcome", "request_body"):
            attempts[row["delivery_id"]].append(dict(row))
        noted = Notification.objects.exclude(failure_group=None).values_list("failure_group_id", "status")
        waiting = Revision.objects.filter(is_awaiting_approval=True).values_list("delivery_id", flat=True)
        deleted = Q(subscription__deleted_at__isnull=False) | Q(integration__deleted_at__isnull=False)
        return cls(
            now=timezone.now(),
            deliveries={row["id"]: row for row in Delivery.objects.values(*COLUMNS)},
            attempts=attempts,
            groups={row["id"]: dict(row) for row in FailureGroup.objects.values("id", "status", "occurrences")},
            notifications={group: status for group, status in noted if group is not None},
            events={row["id"]: dict(row) for row in Event.objects.values("id", "topic", "origin", "data", "object_id")},
            awaiting_approval=set(waiting),
            unwanted=set(Delivery.objects.filter(deleted).values_list("id", flat=True)),
        )


@dataclass
class Invariants:
    """All checks; `expected` says which subscriptions each accepted event must have a delivery for."""

    wire: Wire
    expected: dict[uuid.UUID, set[uuid.UUID]] = field(default_factory=dict)
    pruned: set[uuid.UUID] = field(default_factory=set)
    failures: set[uuid.UUID] = field(default_factory=set)

    def check(self, before: State, after: State, *, is_by_staff: bool) -> None:
        """Every invariant, on what one step made of `before`."""
        self.wire.note_done(after.deliveries)
        for row in after.deliveries.values():
            _is_coherent(row)
        self._accepted_events_have_their_deliveries(after)
        self._states_change_only_as_they_may(before, after, is_by_staff=is_by_staff)
        self._attempts_are_what_was_sent(after)
        self._leases_are_unique(after)
        self._what_awaits_approval_waits(after)
        self._groups_agree_with_deliveries(after)

    def _accepted_events_have_their_deliveries(self, state: State) -> None:
        found: dict[uuid.UUID, list[Any]] = defaultdict(list)
        for row in state.deliveries.values():
            found[row["event_id"]].append(row["subscription_id"])
        for event, wanted in self.expected.items():
            if event in self.pruned:
                continue
            assert event in state.events, f"event {event} was accepted and is gone"
            assert Counter(found[event]) == Counter(wanted), f"event {event}: {found[event]} instead of {wanted}"

    def _states_change_only_as_they_may(self, before: State, after: State, *, is_by_staff: bool) -> None:
        for key, row in after.deliveries.items():
            old = before.deliveries.get(key)
            if old is None:
                continue
            assert row["attempt_count"] >= old["attempt_count"], f"{key} has lost an attempt"
            if is_by_staff or row["status"] == old["status"]:
                continue
            steps = _reachable(old["status"]) | ({"discarded"} if key in after.unwanted else set())
            assert row["status"] in steps, f"{key} went from {old['status']} to {row['status']} by itself"

    def _attempts_are_what_was_sent(self, state: State) -> None:
        for key, row in state.deliveries.items():
            tries = state.attempts.get(key, [])
            numbers = [one["number"] for one in tries]
            ended = row["attempt_count"] - (row["status"] == "sending")
            assert numbers == list(range(1, ended + 1)), f"{key} is {row['status']} and has ended {ended}: {numbers}"
            assert all(one["outcome"] != "running" for one in tries), f"{key} has an attempt without an end"
            if row["status"] == "succeeded":
                assert any(one["outcome"] == "succeeded" for one in tries), f"{key} has succeeded without an attempt"
        for sent in self.wire.sent:
            if (mine := state.deliveries.get(sent.delivery_id)) is None:
                continue
            one = next((one for one in state.attempts.get(mine["id"], []) if one["number"] == sent.number), None)
            name = f"attempt {sent.number} of {mine['id']}"
            if one is None:
                assert (mine["status"], mine["attempt_count"]) == ("sending", sent.number), f"{name} has left no trace"
            elif one["outcome"] != "unknown" or one["request_body"]:  # unknown: the request died with its engine
                assert bytes(one["request_body"]) == sent.body, f"what went out as {name} is not what is recorded"

    def _leases_are_unique(self, state: State) -> None:
        live = Counter(
            sent.delivery_id
            for sent in self.wire.flying
            if (row := state.deliveries.get(sent.delivery_id)) and row["lease"] == sent.lease
        )
        assert not [key for key, count in live.items() if count > 1], f"two hold the lease of one delivery: {live}"

    def _what_awaits_approval_waits(self, state: State) -> None:
        for key in state.awaiting_approval & set(state.deliveries):
            row = state.deliveries[key]
            assert row["due_at"] is None, f"{key} awaits approval and is due at {row['due_at']}"

    def _groups_agree_with_deliveries(self, state: State) -> None:
        members: dict[int, list[str]] = defaultdict(list)
        for row in state.deliveries.values():
            if row["failure_group_id"] is not None:
                members[row["failure_group_id"]].append(row["status"])
        assert set(members) <= set(state.groups), "a delivery is in a group that does not exist"
        for key, group in state.groups.items():
            is_open = group["status"] == "open"
            assert is_open == bool(members[key]), f"group {key} is {group['status']} and holds {members[key]}"
            noted = state.notifications.get(key)
            assert (noted == "open") == is_open, f"group {key} is {group['status']}, its notification {noted}"
        for tries in state.attempts.values():
            self.failures.update(one["id"] for one in tries if one["outcome"] == "failed")
        counted = sum(group["occurrences"] for group in state.groups.values())
        assert counted == len(self.failures), f"groups count {counted} failures, there were {len(self.failures)}"
        shown: Any  # counted just now
        for shown in with_failing(list(FailureGroup.objects.all())):
            failing = [status for status in members[shown.pk] if status in ("failed", "retrying")]
            assert shown.failing == len(failing), f"group {shown.pk} says {shown.failing}, there are {failing}"


def _is_coherent(row: Row) -> None:
    name, status = row["id"], row["status"]
    assert status in OPEN | FINAL, f"{name} is {status}"
    assert (row["lease"] is not None) == (status == "sending"), f"{name} is {status} with the lease {row['lease']}"
    assert (row["finished_at"] is not None) == (status in FINAL), f"{name} is {status}: {row['finished_at']}"
    if status in FINAL:
        assert row["due_at"] is None, f"{name} is {status} and due"
    if status == "sending":
        assert row["due_at"] is not None, f"{name} is being sent without an end of its lease"
    if status in ("succeeded", "discarded", "superseded"):
        assert row["failure_group_id"] is None, f"{name} is {status} and in a failure group"
    if row["is_awaiting_source"]:
        assert status == "failed", f"{name} awaits a later push as {status}"


def _reachable(status: str) -> set[str]:
    """In one cycle an engine records what has ended, and claims."""
    first = BY_ITSELF[status]
    return first | {later for one in first for later in BY_ITSELF[one]}


def forgotten(state: State) -> list[uuid.UUID]:
    """Held deliveries with nothing before them that could move: nobody would ever make them due."""
    lines: dict[tuple[Any, Any], list[Row]] = defaultdict(list)
    for row in state.deliveries.values():
        if row["order_key"] is not None and row["status"] in HOLDING:
            lines[row["subscription_id"], row["order_key"]].append(row)
    return [row["id"] for line in lines.values() for row in line if _is_held(row) and not _is_blocked(row, line)]


def _is_held(row: Row) -> bool:
    return row["status"] == "pending" and row["due_at"] is None


def _is_blocked(row: Row, line: Collection[Row]) -> bool:
    """By one that is under way, or by an earlier one that waits for people (failed, or awaiting approval)."""
    under_way: Callable[[Row], bool] = lambda one: one["due_at"] is not None  # noqa: E731
    return any(
        under_way(one) or (one["id"].int < row["id"].int and not _is_held(one)) for one in line if one is not row
    ) or any(one["id"].int < row["id"].int and _is_held(one) and _is_blocked(one, line) for one in line)


def check_statistics(state: State) -> None:
    """What the dashboard counts for an hour is what the deliveries say."""
    counted = throughput(window="1h", now=state.now).total
    since = counted_from(state.now)
    finished = [row for row in state.deliveries.values() if row["finished_at"] and row["finished_at"] >= since]
    wanted = Counter(row["status"] for row in finished if row["trigger"] != "test")
    assert (counted.succeeded, counted.failed) == (wanted["succeeded"], wanted["failed"])
    made = [row for row in state.deliveries.values() if row["created_at"] >= since and row["trigger"] != "test"]
    assert counted.accepted == len(made)


def counted_from(now: datetime) -> datetime:
    """The dashboard's hour begins with a whole slot of five minutes."""
    seconds = int((now - timedelta(hours=1)).timestamp())
    return datetime.fromtimestamp((seconds // 300 + 1) * 300, now.tzinfo)
