"""The receivers' side: what goes out, held until the machine answers it, and what must be true of it at that moment."""

from __future__ import annotations

import json
import uuid
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from deliveries.models import Delivery, Revision
from integrations.transport.base import Request, Response, Result, TransportError

if TYPE_CHECKING:
    from deliveries.dispatch.engine import DeliveryEngine

DONE = (Delivery.Status.SUCCEEDED, Delivery.Status.DISCARDED, Delivery.Status.SUPERSEDED)


@dataclass(eq=False)
class Sent:
    """One request on the wire. `lease_until` is what the database promised when it left."""

    delivery_id: uuid.UUID
    key: Hashable
    transport: HeldTransport
    body: bytes
    at: datetime
    lease_until: datetime
    lease: uuid.UUID
    number: int
    #: (subscription, record) of an ordered one.
    order: tuple[Any, str] | None
    was_accepted: bool = False


@dataclass
class Wire:
    """Everything that was sent, and what nobody has recorded an end of yet."""

    sent: list[Sent] = field(default_factory=list)
    flying: list[Sent] = field(default_factory=list)
    #: Ordered deliveries that staff have let pass an earlier one.
    released: set[uuid.UUID] = field(default_factory=set)
    #: Those that were done with at some time: what came after them had its turn then.
    was_done: set[uuid.UUID] = field(default_factory=set)
    #: What should go out for deliveries that were edited: what was approved, if that is asked for.
    payloads: dict[uuid.UUID, Any] = field(default_factory=dict)

    def leave(self, transport: HeldTransport, key: Hashable, request: Request) -> None:
        delivery = Delivery.objects.select_related("integration", "subscription", "event").get(id=_delivery_of(request))
        assert delivery.lease is not None
        assert delivery.due_at is not None
        self._check_permission(delivery)
        self._check_alone(delivery)
        self._check_payload(delivery, request)
        if delivery.order_key is not None:
            self._check_order(delivery)
        order = (delivery.subscription_id, delivery.order_key) if delivery.order_key is not None else None
        now = timezone.now()
        assert delivery.due_at >= now + timedelta(seconds=delivery.integration.timeout), "a lease outlasts its attempt"
        sent = Sent(
            delivery.id,
            key,
            transport,
            request.body,
            now,
            delivery.due_at,
            delivery.lease,
            delivery.attempt_count,
            order,
        )
        self.sent.append(sent)
        self.flying.append(sent)

    def _check_permission(self, delivery: Delivery) -> None:
        name = delivery.public_id
        assert delivery.status == "sending", f"{name} goes out as {delivery.status}"
        assert delivery.integration.deleted_at is None, f"{name} goes to a deleted integration"
        assert delivery.integration.is_enabled, f"{name} goes to a disabled integration"
        assert delivery.subscription is None or delivery.subscription.deleted_at is None, (
            f"{name} goes out for a deleted subscription"
        )
        waiting = Revision.objects.filter(delivery=delivery, is_awaiting_approval=True)
        assert not waiting.exists(), f"{name} goes out while an edit of it awaits approval"

    def _check_alone(self, delivery: Delivery) -> None:
        now = timezone.now()
        twins = [one for one in self.flying if one.delivery_id == delivery.id and one.lease_until > now]
        assert not twins, f"{delivery.public_id} goes out again while the lease of {twins[0].at} holds"

    def _check_payload(self, delivery: Delivery, request: Request) -> None:
        document = json.loads(request.body)
        if "request_id" in document:  # `hub`
            (found,) = [value for name, value in document.items() if name not in ("request_id", "parameters")]
        else:
            found = document["data"]
        wanted = self.payloads.get(delivery.id, delivery.event.data)
        assert found == wanted, f"{delivery.public_id}: {found} goes out instead of {wanted}"

    def _check_order(self, delivery: Delivery) -> None:
        now = timezone.now()
        assert delivery.subscription_id is not None, "only a subscription orders"
        order = (delivery.subscription_id, delivery.order_key)
        beside = [one for one in self.flying if one.order == order and one.lease_until > now]
        line = Delivery.objects.filter(subscription_id=order[0], order_key=order[1]).order_by("id")
        assert not beside, (
            f"{delivery.public_id} goes out beside {beside[0].delivery_id}, of its record: "
            f"{[(str(one.id), one.status, str(one.due_at)) for one in line]}"
        )
        if delivery.id in self.released | self.was_done or any(one.delivery_id == delivery.id for one in self.sent):
            return  # its turn had come before
        earlier = Delivery.objects.filter(subscription_id=order[0], order_key=order[1], id__lt=delivery.id)
        for one in earlier.exclude(status__in=DONE):
            assert one.id in self.was_done, f"{delivery.public_id} overtakes {one.public_id}, which is {one.status}"

    def note_done(self, deliveries: dict[uuid.UUID, Any]) -> None:
        self.was_done.update(key for key, row in deliveries.items() if row["status"] in DONE)

    def holds_lease(self, sent: Sent) -> bool:
        return Delivery.objects.filter(id=sent.delivery_id, status="sending", lease=sent.lease).exists()


class HeldTransport:
    """A transport whose requests are answered by the machine, when and in the order it likes."""

    capacity = 64
    waited = 0.0

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.requests: dict[Hashable, Request] = {}
        self.results: list[Result] = []

    def submit(self, key: Hashable, request: Request) -> None:
        self.requests[key] = request
        self.wire.leave(self, key, request)

    def collect(self, timeout: float) -> Sequence[Result]:
        found, self.results = self.results, []
        return found

    def wake(self) -> None:
        pass

    def watch(self, descriptor: int) -> None:
        pass

    def unwatch(self, descriptor: int) -> None:
        pass

    def close(self) -> None:
        pass


def put_before(engine: DeliveryEngine, wire: Wire) -> HeldTransport:
    """A held transport instead of the engine's own."""
    engine.transport.close()
    engine.transport = transport = HeldTransport(wire)
    return transport


def result(sent: Sent, kind: str, pushed: int) -> Result:
    """What comes back for a request. `pushed` is the number in an object that a `hub` receiver pushes back."""
    body = sent.body.decode()
    request_id = json.loads(body).get("request_id")
    if kind in ("timeout", "connection"):
        return Result(sent.key, None, TransportError(kind, f"{kind} on purpose"), 2.0)
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
    if kind == "pushes back" and request_id is not None:
        echo = {"id": "e", "n": pushed, "by": request_id}
        said = {"request_id": request_id, "summary": "thanks", "echoes": [echo]}
        return Result(sent.key, Response(200, headers, json.dumps(said).encode()), None, 0.01)
    if kind in ("accepts", "pushes back"):
        said = {} if request_id is None else {"request_id": request_id}
        return Result(sent.key, Response(200, headers, json.dumps(said).encode()), None, 0.01)
    status = int(kind)
    if status == 429:
        headers = (*headers, ("Retry-After", "5"))
    explained = b"" if status == 503 else json.dumps({"error": f"out of paper {status}"}).encode()
    return Result(sent.key, Response(status, headers, explained), None, 0.01)


def _delivery_of(request: Request) -> uuid.UUID:
    for name, value in request.headers:
        if name.lower() == "webhook-id":
            return uuid.UUID(value.removeprefix("msg_"))
    return uuid.UUID(json.loads(request.body)["request_id"])
