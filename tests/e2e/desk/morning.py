"""A morning at the desk: shipments with a bad phone number, and the SMS application that refuses them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from deliveries.models import Delivery
from integrations.models import Store
from tests.factories import DeliveryFactory, EventFactory, IntegrationFactory, SubscriptionFactory
from tests.receiver import Exchange, answer

BAD = "0000000000"
GOOD = "555-555-5555"


@dataclass
class Morning:
    store: Store
    deliveries: list[Delivery]


class SmsApp:
    """Answers as the Ruby application of the seed does: 500 with a summary for a phone number that is none."""

    def __call__(self, exchange: Exchange) -> bool:
        body = json.loads(exchange.request.body)
        phone = body["shipment"]["shipping_address"]["phone"]
        said = {"request_id": body["request_id"], "summary": "SMS message sent"}
        if phone == GOOD:
            return answer(200, json.dumps(said).encode())(exchange)
        said["summary"] = f"Unable to send SMS message. Error: '{phone}' is not a phone number"
        return answer(500, json.dumps(said).encode())(exchange)


def failing_morning(url: str, number: int) -> Morning:
    """`number` deliveries that are due; the oldest has a number of its own."""
    integration = IntegrationFactory(
        store__name="Foo Store", name="Twilio SMS", slug="twilio-sms", url=url, wire_format="hub", retry_policy="none", auth_type="hub",
        token="hub-token", parameters={"account_sid": "AC1", "auth_token": "s3cret-token"},
    )  # fmt: skip
    subscription = SubscriptionFactory(integration=integration, topics=["shipment.updated"], path="send_sms")
    made: list[Delivery] = []
    for position in range(number):
        event = EventFactory(
            store=integration.store,
            object_id=str(1_111_111_111 + position),
            data=shipment(1_111_111_111 + position, "1111111" if position == 0 else BAD),
        )
        made.append(DeliveryFactory(subscription=subscription, event=event))
    return Morning(integration.store, made[::-1])


def shipment(number: int, phone: str) -> dict[str, Any]:
    return {
        "id": str(number),
        "order_id": f"R{number}",
        "email": "spree@example.com",
        "cost": 5.0,
        "status": "ready",
        "tracking": "12345678",
        "updated_at": None,
        "shipping_address": {
            "firstname": "Joe",
            "lastname": "Smith",
            "address1": "1234 Awesome Street",
            "zipcode": "90210",
            "city": "Hollywood",
            "phone": phone,
        },
        "items": [{"name": "Spree T-Shirt", "product_id": "SPREE-T-SHIRT", "quantity": 1, "price": 30.0}],
    }
