"""The hooks through which other apps learn the outcomes of deliveries."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from integrations.foundation.hooks import Hook


@dataclass(frozen=True, slots=True)
class DeliveryChange:
    """The outcome of one attempt (or of a staff action) for a delivery. Never sent for tests.

    `status` is the delivery's new one: succeeded, retrying, failed, discarded or superseded. `group_id` is
    the failure group it is in now (failures only).
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
    """How one attempt ended, tests included. `integration` is the slug, `topic` an intent where there is no topic.

    `outcome`: succeeded, retrying or failed; `status`: of the answer, None without one; `error`: the kind of a failure
    of the connection; `seconds`: what the receiver took; `age`: seconds from the delivery's creation to now.
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


#: A batch of attempts, after the transaction that recorded them, outside of any. Nobody listens unless asked for.
attempted: Hook[[Sequence[AttemptReport]]] = Hook()
#: A batch of outcomes, inside the transaction that records them. Successes without a message are omitted.
settled: Hook[[Sequence[DeliveryChange], datetime]] = Hook()
#: These failure groups (ids) have no failing delivery left; resolved by `auto` or a user's name.
groups_resolved: Hook[[Sequence[int], str, datetime]] = Hook()
#: These failure groups were opened by a failure, for the first time or again: store, integration, id of each.
groups_opened: Hook[[Sequence[tuple[uuid.UUID, int, int]], datetime]] = Hook()
#: A kept recipe was switched off, by somebody or by itself: store, integration, recipe, why, now.
recipe_stopped: Hook[[uuid.UUID, int, uuid.UUID, str, datetime]] = Hook()
#: These failure groups (ids) are open again without a new failure: by staff, or merged or split.
groups_reopened: Hook[[Sequence[int], datetime]] = Hook()
#: These failure groups (ids) are open and their snooze is over.
cases_woken: Hook[[Sequence[int], datetime]] = Hook()
#: A case (id) was given to a person (id) by somebody (a name), with a note.
case_assigned: Hook[[int, int, str, str, datetime]] = Hook()
#: A person (id) has opened a page of the desk on which they were told to act (its path).
page_opened: Hook[[int, str, datetime]] = Hook()
#: Something else that staff should know (an integration was disabled): store, integration, key, level, text, now.
#: One open notification per store and key.
announced: Hook[[uuid.UUID, int | None, str, str, str, datetime]] = Hook()
#: What was announced under this key is settled: store, key, by whom, now.
announcement_settled: Hook[[uuid.UUID, str, str, datetime]] = Hook()
#: These deliveries are about to be deleted, in this transaction: listeners drop their references.
deliveries_pruned: Hook[[Sequence[uuid.UUID]]] = Hook()
#: The payloads of these rows were erased or deleted for good, in this transaction: a kind (the name of a place in
#: `deliveries.erasure.places`, such as `event` or `record`) and primary keys. Whoever keeps copies forgets them.
payloads_erased: Hook[[str, Sequence[Any]]] = Hook()
