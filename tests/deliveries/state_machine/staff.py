"""What people do: resolve deliveries one by one or many at once, and change the configuration."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from deliveries.models import Delivery, Replay, Revision
from deliveries.replay import start_replay, step
from deliveries.resolution import (
    approve_revision,
    discard_delivery,
    edit_delivery,
    payload_of,
    reject_revision,
    release_hold,
    retry_delivery,
    wait_for_source,
)
from integrations.services import delete_integration, disable_integration, enable_integration
from subscriptions.services import delete_subscription, update_subscription
from tests.deliveries.state_machine.base import CheckedMachine
from tests.deliveries.state_machine.world import and_what_follows

#: Which of those there are; taken modulo their number.
PICK = st.integers(0, 15)
#: Deleting leaves little to do, so that it is rare.
CHANGES = st.sampled_from(
    ["approval", "approval", "integration", "integration", "integration", "subscription", "subscription",
     "delete a subscription", "delete an integration"]
)  # fmt: skip


class StaffRules(CheckedMachine):
    def _pick(self, pick: int) -> Delivery:
        rows = self.state.deliveries
        ordered = [key for key in rows if rows[key]["order_key"] is not None]
        keys = sorted(ordered if pick % 2 and ordered else rows, key=lambda key: key.int)
        pick //= 2
        return self.world.delivery(keys[-1 - pick % len(keys)])

    def _resolve(self, act: Callable[[], Any]) -> Any:
        return self._step(act, is_by_staff=True, may_refuse=True)

    @precondition(lambda self: self.state.deliveries)
    @rule(pick=PICK)
    def retry(self, pick: int) -> None:
        self._resolve(lambda: retry_delivery(delivery=self._pick(pick), actor=self.world.staff[0]))

    @precondition(lambda self: self.state.deliveries)
    @rule(pick=PICK, number=st.integers(10, 12), update_record=st.booleans())
    def edit(self, pick: int, number: int, update_record: bool) -> None:
        delivery = self._pick(pick)
        payload = payload_of(delivery) | {"n": number}

        def act() -> None:
            revision = edit_delivery(
                delivery=delivery, payload=payload, actor=self.world.staff[0], update_record=update_record
            )
            if not revision.is_awaiting_approval:
                self.world.wire.payloads[delivery.id] = payload

        self._resolve(act)

    @precondition(lambda self: self.state.awaiting_approval)
    @rule(pick=PICK, who=st.integers(0, 1), is_good=st.sampled_from([True, True, False]))
    def decide(self, pick: int, who: int, is_good: bool) -> None:
        waiting = list(Revision.objects.filter(is_awaiting_approval=True).order_by("delivery_id", "number"))
        revision = waiting[pick % len(waiting)]

        def act() -> None:
            if not is_good:
                reject_revision(revision=revision, actor=self.world.staff[who])
                return
            approve_revision(revision=revision, actor=self.world.staff[who])
            assert who == 1, "nobody approves their own edit"
            self.world.wire.payloads[revision.delivery_id] = revision.data

        self._resolve(act)

    @precondition(lambda self: self.state.deliveries)
    @rule(pick=PICK, act=st.sampled_from([discard_delivery, wait_for_source]))
    def give_up(self, pick: int, act: Callable[..., Any]) -> None:
        self._resolve(lambda: act(delivery=self._pick(pick), actor=self.world.staff[0]))

    @precondition(lambda self: self._held())
    @rule(pick=PICK)
    def release(self, pick: int) -> None:
        held = self._held()
        chosen = self.world.delivery(held[pick % len(held)])

        def act() -> None:
            release_hold(delivery=chosen, actor=self.world.staff[0])
            self.world.wire.released.add(chosen.id)

        self._resolve(act)

    def _held(self) -> list[uuid.UUID]:
        rows = self.state.deliveries.values()
        return [row["id"] for row in rows if row["status"] == "pending" and row["due_at"] is None]

    @rule(action=st.sampled_from(["retry", "retry", "discard"]), status=st.sampled_from(["failed", "retrying", ""]))
    def replay(self, action: str, status: str) -> None:
        def act() -> None:
            filters = {"status": status} if status else {}
            begun = start_replay(filters=filters, action=action, actor=self.world.staff[0], store=self.world.store)
            while not step(begun.id, timezone.now()).is_over:
                self.world.advance(1)
            assert Replay.objects.get(id=begun.id).status == "done"

        self._step(act, is_by_staff=True)

    @rule(what=CHANGES, pick=PICK, is_on=st.sampled_from([True, True, False]))
    def configure(self, what: str, pick: int, is_on: bool) -> None:
        self._step(lambda: self._configure(what, pick, is_on=is_on), is_by_staff="delete" in what, may_refuse=True)

    def _configure(self, what: str, pick: int, *, is_on: bool) -> None:
        ada = self.world.staff[0]
        integration = self.world.integrations[pick % len(self.world.integrations)]
        subscription = self.world.subscriptions[pick % len(self.world.subscriptions)]
        if what == "approval":
            self.world.store.is_approval_required = is_on
            self.world.store.save(update_fields=["is_approval_required"])
        elif what == "integration" and is_on:
            enable_integration(integration=integration, actor=ada)
        elif what == "integration":
            disable_integration(integration=integration, actor=ada, reason="a rest")
        elif what == "subscription":
            update_subscription(subscription=subscription, actor=ada, is_active=is_on)
        elif what == "delete an integration":
            with and_what_follows():
                delete_integration(integration=integration, actor=ada)
        else:
            with and_what_follows():
                delete_subscription(subscription=subscription, actor=ada)
            if is_on:
                self.world.subscribe(subscription.integration, subscription.topics, is_ordered=subscription.is_ordered)
