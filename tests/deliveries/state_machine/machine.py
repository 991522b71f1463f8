"""Random sequences of what programs, receivers, staff, time and death do to deliveries; every step is checked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from deliveries.ingest.service import KeyConflict
from deliveries.maintenance.retention import prune
from deliveries.models import Delivery, Event
from integrations.models import Integration
from integrations.services import enable_integration
from tests.deliveries.state_machine.invariants import check_statistics, forgotten
from tests.deliveries.state_machine.staff import PICK, StaffRules
from tests.deliveries.state_machine.wire import Sent, result

IDS = st.sampled_from(["a", "b"])
OBJECTS = st.builds(lambda key, number: {"id": key, "n": number}, IDS, st.integers(0, 3))
ANSWERS = st.sampled_from(
    ["accepts", "accepts", "accepts", "pushes back", "500", "503", "400", "410", "429", "timeout", "connection"]
)
#: What receivers that have repented answer at the end.
PATIENCE = 60


class DeliveryMachine(StaffRules):
    """What all rules stand on is in `base.py`, what staff do in `staff.py`."""

    def teardown(self) -> None:
        try:
            if self.is_sound:
                self._let_everything_end()
        finally:
            self.world.close()

    # --- programs push ----------------------------------------------------------------------------------

    @rule(objects=st.lists(OBJECTS, min_size=1, max_size=3))
    def push(self, objects: list[dict[str, Any]]) -> None:
        records = self.world.records()
        wanted: list[tuple[str, str | None, Any]] = []
        for one in objects:
            known = records.get(("thing", one["id"]))
            merged = {**(known or {}), **one}
            if merged != known:
                wanted.append(("thing.created" if known is None else "thing.updated", one["id"], merged))
            records["thing", one["id"]] = merged
        self._take_in(lambda: self.world.push({"things": objects}), wanted)

    @rule(topics=st.lists(st.sampled_from(["thing.made", "note.taken", "nobody.cares"]), min_size=1, max_size=3))
    def publish(self, topics: list[str]) -> None:
        self.pushed += 1
        events: list[dict[str, Any]] = [{"topic": topic, "data": {"id": "p", "n": self.pushed}} for topic in topics]
        document = events if len(events) > 1 else events[0]
        self._take_in(lambda: self.world.publish(document), [(e["topic"], None, e["data"]) for e in events])

    @rule(key=st.sampled_from(["k1", "k2"]), number=st.integers(0, 1))
    def publish_with_a_key(self, key: str, number: int) -> None:
        document = {"topic": "thing.made", "data": {"id": "k", "n": number}}
        known = self.keys.get(key)

        def act() -> None:
            try:
                receipt = self.world.publish(document, key)
            except KeyConflict:
                assert known is not None
                assert known[0] != number
                return
            assert receipt.is_replay == (known is not None)
            assert known is None or known == (number, receipt.response)
            self.keys[key] = (number, receipt.response)

        self._take_in(act, [] if known else [("thing.made", None, document["data"])])

    def _take_in(self, act: Callable[[], Any], wanted: list[tuple[str, str | None, Any]]) -> None:
        """The events that `act` makes are `wanted`: (topic, record or None, data), each for who is interested now."""
        before = set(self.state.events)

        def take_in() -> None:
            act()
            made = [event for event in Event.objects.order_by("id") if event.id not in before]
            found = [(e.topic, e.object_id or None, e.data) for e in made]
            assert [(topic, data) for topic, _, data in found] == [(topic, data) for topic, _, data in wanted]
            assert all(found[n][1] == key for n, (_, key, _) in enumerate(wanted) if key is not None)
            for event in made:
                self.promises.expected[event.id] = self.world.interested(event.topic or "")

        self._step(take_in)

    # --- engines, receivers, time, death ----------------------------------------------------------------

    @rule(number=st.integers(0, 1))
    def claim(self, number: int) -> None:
        self._step(lambda: self.world.cycle(self.world.engines[number]))

    @precondition(lambda self: self._answerable())
    @rule(pick=PICK, kind=ANSWERS, is_recorded=st.sampled_from([True, True, False]))
    def answer(self, pick: int, kind: str, is_recorded: bool) -> None:
        flying = self._answerable()
        self._step(lambda: self._answer(flying[pick % len(flying)], kind, is_recorded=is_recorded))

    def _answerable(self) -> list[Sent]:
        alive = {id(engine.transport) for engine in self.world.engines}
        return [
            one for one in self.world.wire.flying if id(one.transport) in alive and one.key in one.transport.requests
        ]

    def _answer(self, sent: Sent, kind: str, *, is_recorded: bool = True) -> None:
        self.pushed += 1
        del sent.transport.requests[sent.key]
        sent.was_accepted = kind in ("accepts", "pushes back")
        sent.transport.results.append(result(sent, kind, self.pushed))
        engine = next(one for one in self.world.engines if one.transport is sent.transport)
        engine.collect(0.0)
        if is_recorded:
            self.world.cycle(engine)

    @rule(kind=ANSWERS, seconds=st.sampled_from([0, 6, 61]))
    def work(self, kind: str, seconds: int) -> None:
        self._work(kind, seconds)

    @rule(kind=ANSWERS, seconds=st.sampled_from([0, 6, 61]))
    def work_more(self, kind: str, seconds: int) -> None:
        self._work(kind, seconds)

    def _work(self, kind: str, seconds: int) -> None:
        """Both engines send what is due, and all of it is answered alike."""
        self._step(lambda: self.world.advance(seconds))
        for engine in self.world.engines:
            self._step(partial(self.world.cycle, engine))
        for sent in self._answerable():
            self._step(partial(self._answer, sent, kind, is_recorded=False))
        for engine in self.world.engines:
            self._step(partial(self.world.cycle, engine))

    @precondition(lambda self: self._answerable())
    @rule(kind=ANSWERS)
    def stand_still(self, kind: str) -> None:
        """An engine stops past its leases, the other one sends again, and then the answers come to the first."""
        stalled = self._answerable()[0].transport
        mine = [one for one in self._answerable() if one.transport is stalled]
        self._step(lambda: self.world.advance(33))
        for engine in self.world.engines:
            if engine.transport is not stalled:
                self._step(partial(self.world.cycle, engine))
        for sent in mine:
            self._step(partial(self._answer, sent, kind))

    @rule(number=st.integers(0, 1))
    def kill(self, number: int) -> None:
        self._step(lambda: self.world.kill_engine(number))

    @rule(seconds=st.sampled_from([1, 6, 33, 61, 3600]), is_swept=st.booleans())
    def time_passes(self, seconds: int, is_swept: bool) -> None:
        self._step(lambda: self.world.advance(seconds))
        if is_swept:
            self._step(self.world.sweep)
            left = forgotten(self.state)
            assert not left, f"held, and nothing before them can move: {left}"

    @rule(hours=st.sampled_from([0, 1]))
    def prune(self, hours: int) -> None:
        before = timezone.now() - timedelta(hours=hours)
        old = {key for key, row in self.state.deliveries.items() if row["finished_at"] and row["finished_at"] < before}
        events = {self.state.deliveries[key]["event_id"] for key in old}

        def act() -> None:
            prune(before=before, batch=2)
            left = set(Delivery.objects.values_list("id", flat=True))
            assert left == set(self.state.deliveries) - old, "what was finished goes, and nothing else"
            kept = set(Event.objects.values_list("id", flat=True))
            self.promises.pruned |= events | (set(self.state.events) - kept)
            needed = {row["event_id"] for key, row in self.state.deliveries.items() if key in left}
            assert needed <= kept, "an event goes after its deliveries"

        self._step(act)

    # --- the end ----------------------------------------------------------------------------------------

    def _let_everything_end(self) -> None:
        """Receivers accept, everything is enabled, time passes: nothing may stay that could have gone out."""
        check_statistics(self.state)
        for integration in self.world.integrations:
            self._step(partial(enable_integration, integration=integration, actor=self.world.staff[0]))
        for _ in range(PATIENCE):
            for sent in self._answerable():
                self._answer(sent, "accepts", is_recorded=False)
            for engine in self.world.engines:
                self.world.cycle(engine)
            self.world.sweep()
            if not self._answerable() and not Delivery.objects.exclude(due_at=None).exists():
                break
            self.world.advance(0 if self._answerable() else 60)
        self._step(lambda: None, is_by_staff=True)
        gone = set(Integration.objects.exclude(deleted_at=None).values_list("id", flat=True))
        for row in self.state.deliveries.values():
            self._ended_well(row, gone)

    def _ended_well(self, row: dict[str, Any], gone: set[int]) -> None:
        key, status = row["id"], row["status"]
        assert row["due_at"] is None, f"{key} is still {status}"
        if status == "succeeded":
            received = any(sent.was_accepted for sent in self.world.wire.sent if sent.delivery_id == key)
            assert received, f"{key} counts as succeeded and no receiver has accepted it"
        elif status in ("pending", "retrying"):
            is_held = status == "pending" and row["order_key"] is not None and key not in forgotten(self.state)
            assert is_held or key in self.state.awaiting_approval, f"{key} is {status} and nobody will ever send it"
