"""Shipments whose phone numbers are all bad in ways of their own, refused by a receiver that wants +254 and nine digits."""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from typing import Any

from deliveries.models import Delivery
from integrations.models import Store
from tests.factories import (
    DeliveryFactory,
    EventFactory,
    IntegrationFactory,
    RecordFactory,
    SubscriptionFactory,
)
from tests.receiver import Exchange, answer

WANTED = re.compile(r"\+2547\d{8}")
RULES = [
    {"rule": "digits"},
    {"rule": "strip", "which": "not_phone"},
    {"rule": "prefix", "to": "+254", "from": "00254,254,0", "add": "on"},
]
FIELD = "shipping_address.phone"


class Courier:
    """Answers 422 to a phone number that is none, in words that repeat it."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str]] = []

    def __call__(self, exchange: Exchange) -> bool:
        body = json.loads(exchange.request.body)
        phone = body["data"]["shipping_address"]["phone"]
        if isinstance(phone, str) and WANTED.fullmatch(phone):
            self.taken.append((body["data"]["id"], phone))
            return answer(200, b"{}")(exchange)
        return answer(422, json.dumps({"error": f"'{phone}' is not a phone number"}).encode())(exchange)


@dataclass
class Fleet:
    store: Store
    integration: Any
    subscription: Any
    courier: Courier

    def ship(self, number: int, phone: Any, *, has_record: bool = True, **values: Any) -> Delivery:
        data = {"id": str(number), "status": "ready", "shipping_address": {"city": "Nairobi", "phone": phone}}
        if has_record:
            RecordFactory(store=self.store, external_id=str(number), data=data)
        event = EventFactory(store=self.store, object_id=str(number), data=data)
        made: Delivery = DeliveryFactory(subscription=self.subscription, event=event, **values)
        return made


def fleet(receiver: Any, **values: Any) -> Fleet:
    courier = Courier()
    receiver.script(courier)
    integration = IntegrationFactory(url=receiver.url(""), retry_policy="none", **values)
    subscription = SubscriptionFactory(integration=integration, topics=["shipment.updated"])
    return Fleet(integration.store, integration, subscription, courier)


def good(rng: random.Random) -> str:
    return f"+2547{rng.randrange(10**7, 10**8)}"


def spoiled(phone: str, way: int) -> str:
    """The same number as people type it: ten ways, each of which the courier refuses."""
    local = phone.removeprefix("+254")
    return [
        f"0{local}",
        local,
        f"254{local}",
        f"00254{local}",
        f"+254 {local[:3]} {local[3:]}",
        f"O{local}",
        f"0{local[:3]}-{local[3:6]}-{local[6:]}",
        f"(0{local[:3]}) {local[3:]}",
        f" {phone} ",
        f"+254/{local}",
    ][way % 10]
