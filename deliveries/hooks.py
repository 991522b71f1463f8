"""Hooks that tell other apps about the outcomes of deliveries."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from integrations.foundation.hooks import Hook


@dataclass(frozen=True, slots=True)
class DeliveryChange:
    """A delivery's new state after an attempt or a staff action. Never sent for tests.

    `status`: succeeded, retrying, failed, discarded or superseded. `group_id`: its current failure group (failures
    only).
    """

    delivery_id: uuid.UUID
    store_id: uuid.UUID
    integration_id: int
    status: str
    summary: str | None = None
    group_id: int | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class AttemptReport:
    """How one attempt ended, including tests. `integration` is its slug; `topic` is the intent if there is no topic.

    `outcome`: succeeded, retrying or failed. `status`: of the response, or None. `error`: the kind of connection error.
    `seconds`: the duration of the attempt. `age`: seconds since the delivery was created.
    """

    store_id: uuid.UUID
    integration: str
    subscription_id: uuid.UUID | None
    delivery_id: uuid.UUID
    topic: str
    attempt: int
    status: int | None
    outcome: str
    error: str
    seconds: float
    age: float
    is_test: bool
    is_late: bool


#: A batch of attempts, outside any transaction, after the one that recorded them. Has listeners only if enabled.
attempted: Hook[[Sequence[AttemptReport]]] = Hook()
#: A batch of outcomes, inside the transaction that records them. Successes without a message are omitted.
settled: Hook[[Sequence[DeliveryChange], datetime]] = Hook()
#: These failure groups (ids) have no failing delivery left; resolved by `auto` or a user's name.
groups_resolved: Hook[[Sequence[int], str, datetime]] = Hook()
#: These failure groups were opened or reopened by a failure: store, integration and id of each.
groups_opened: Hook[[Sequence[tuple[uuid.UUID, int, int]], datetime]] = Hook()
#: A kept recipe was switched off, by a person or automatically: store, integration, recipe, why, now.
recipe_stopped: Hook[[uuid.UUID, int, uuid.UUID, str, datetime]] = Hook()
#: These failure groups (ids) were reopened without a new failure: by staff, or by a merge or split.
groups_reopened: Hook[[Sequence[int], datetime]] = Hook()
#: The snooze of these open failure groups (ids) has ended.
cases_woken: Hook[[Sequence[int], datetime]] = Hook()
#: A case (id) was assigned to a person (id) by somebody (a name), with a note.
case_assigned: Hook[[int, int, str, str, datetime]] = Hook()
#: A person (id) has opened a page of the desk (its path) on which they had been asked to act.
page_opened: Hook[[int, str, datetime]] = Hook()
#: Something else that staff should know (an integration was disabled): store, integration, key, level, text, now.
#: One open notification per store and key.
announced: Hook[[uuid.UUID, int | None, str, str, str, datetime]] = Hook()
#: What was announced under this key is resolved: store, key, by whom, now.
announcement_settled: Hook[[uuid.UUID, str, str, datetime]] = Hook()
#: These deliveries are about to be deleted in this transaction: listeners must drop their references.
deliveries_pruned: Hook[[Sequence[uuid.UUID]]] = Hook()
#: The payloads of these rows were erased or deleted for good in this transaction: a kind (the name of a place in
#: `deliveries.erasure.places`, such as `event` or `record`) and primary keys. Listeners must delete their copies.
payloads_erased: Hook[[str, Sequence[Any]]] = Hook()
