"""The demo: the story of Wombat's tutorial, from an invalid phone number to an SMS that is sent."""

from __future__ import annotations

import copy
import http.client
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, TypeVar

from django.contrib.auth import get_user_model
from django.db import OperationalError
from django.urls import reverse
from django.utils import timezone

from deliveries.models import Delivery, Engine, Record
from deliveries.resolution import edit_delivery, payload_of
from integrations.foundation.audit import Actor
from integrations.models import Store
from integrations.services import create_integration, issue_token
from notifications.models import Notification
from subscriptions.services.subscriptions import create_subscription

LOGIN, PASSWORD = "demo", "demo"
BAD_PHONE, GOOD_PHONE = "0000000000", "+15005550006"
CHANGER = Actor(None, "the demo")

#: The shipment of Wombat's tutorial, and the update that triggers the SMS.
SHIPMENT: dict[str, Any] = {
    "id": "1111111111",
    "order_id": "R1111111111",
    "email": "spree@example.com",
    "cost": 5.0,
    "status": "ready",
    "stock_location": "default",
    "shipping_method": "UPS Ground (USD)",
    "tracking": "",
    "updated_at": None,
    "shipped_at": "2014-02-03T17:33:55.343Z",
    "shipping_address": {
        "firstname": "Joe",
        "lastname": "Smith",
        "address1": "1234 Awesome Street",
        "address2": "",
        "zipcode": "90210",
        "city": "Hollywood",
        "state": "California",
        "country": "US",
        "phone": BAD_PHONE,
    },
    "items": [
        {"name": "Spree T-Shirt", "product_id": "SPREE-T-SHIRT", "quantity": 1, "price": 30.0, "options": {}},
    ],
}
TRACKING = {"id": "1111111111", "tracking": "12345678"}
TRANSFORM = (
    "{sms: {from: '555-555-1212', phone: shipping_address.phone, "
    "message: join('', ['Your order ', order_id, ' was shipped! Tracking number: ', tracking])}}"
)

Found = TypeVar("Found")


class StepFailed(Exception):
    """A step did not succeed; the message names it and what was observed instead."""


class Interrupted(Exception):
    """The demo was interrupted."""


@dataclass
class Story:
    """Runs in a thread next to the supervisor's. `url` is Hookdesk's, `receiver_port` the SMS application's."""

    out: TextIO
    folder: Path
    url: str
    receiver_port: int
    is_stopping: Callable[[], bool]

    # --- before web and worker run -------------------------------------------------------------------

    def furnish(self) -> None:
        """Create login, store, token, integration and subscription."""
        get_user_model().objects.create_superuser(LOGIN, "demo@example.com", PASSWORD)
        self.done(f"staff login created: {LOGIN} / {PASSWORD}")
        self.store = Store.objects.create(name="Demo store")
        _, self.token = issue_token(
            store=self.store, actor=CHANGER, name="demo", scopes=["push", "manage"], expires_at=None
        )
        self.done(f"store created: {self.store.name}, id {self.store.id}")
        integration = create_integration(
            store=self.store,
            actor=CHANGER,
            name="SMS app",
            url=f"http://127.0.0.1:{self.receiver_port}",
            wire_format="hub",
        )
        self.done(f"integration created: {integration.name} at {integration.url}, hub format")
        create_subscription(
            store=self.store,
            actor=CHANGER,
            integration=integration,
            topics=["shipment.updated"],
            path="send_sms",
            transform=TRANSFORM,
        )
        self.done("subscription created: shipment.updated -> POST /send_sms, with a transform that writes the SMS")
        self._write_shell_file()

    def _write_shell_file(self) -> None:
        path = self.folder / "shell"
        path.touch(mode=0o600)
        path.write_text(
            f"export HOOKDESK_URL={self.url}\nexport STORE_ID={self.store.id}\nexport ACCESS_TOKEN={self.token}\n"
        )

    # --- with web and worker -------------------------------------------------------------------------

    def fail_to_send(self) -> Delivery:
        """Push the shipment and its update; sending the SMS fails."""
        self.wait("the web server answers", 60, self._is_web_up)
        self.wait("the worker is running", 60, lambda: Engine.objects.alive(timezone.now()).exists())
        self._push({"shipments": [SHIPMENT]}, "shipment 1111111111, with the phone number 0000000000")
        self._push({"shipments": [TRACKING]}, "its tracking number 12345678")
        failed = self.wait("the SMS app rejects the message", 30, self._failed_delivery)
        self.tell(failed.last_error)
        notification = self.wait("a notification is raised", 30, lambda: self._notification(failed, "open"))
        self.tell(f"the notification: {notification.summary}")
        return failed

    def fix(self, failed: Delivery) -> None:
        """Do what staff do in the wizard: edit the phone number in the payload and in the store's record."""
        user = get_user_model().objects.get(username=LOGIN)
        payload = copy.deepcopy(payload_of(failed))
        payload["shipping_address"]["phone"] = GOOD_PHONE
        failed.refresh_from_db()
        edit_delivery(
            delivery=failed,
            payload=payload,
            actor=Actor.of_user(user),
            reason="The customer told us the right number.",
            update_record=True,
        )
        self.done(f"the phone number was edited to {GOOD_PHONE}, as in the wizard")
        self.wait("the message is resent and accepted", 30, lambda: self._succeeded(failed))
        self.wait("the notification was resolved automatically", 30, lambda: self._notification(failed, "resolved"))
        self.wait("the store's record has the new number", 10, self._is_record_fixed)
        count = Delivery.objects.filter(store=self.store).count()
        if count != 1:
            raise StepFailed(f"exactly one delivery resulted (there are {count})")
        self.done("all of this was one delivery, with its attempts and both payloads in its history")

    def show_where_to_click(self, failed: Delivery) -> None:
        """Print the URLs, and a curl command that pushes more."""
        page = reverse("admin:deliveries_delivery_change", args=[failed.pk])
        for line in (
            "",
            f"  Log in as {LOGIN} / {PASSWORD}:",
            f"    the desk             {self.url}/admin/",
            f"    the failed delivery  {self.url}{page}",
            f"    fix it               {self.url}/admin/deliveries/delivery/{failed.pk}/resolve/",
            "",
            "  Push from another terminal:",
            f"    . {self._relative(self.folder / 'shell')}",
            '    curl -i -X POST -H "X-Hub-Store: $STORE_ID" -H "X-Hub-Access-Token: $ACCESS_TOKEN" \\',
            """      -d'{"shipments":[{"id":"1111111111","tracking":"87654321"}]}' $HOOKDESK_URL/api/v1/push""",
            "",
        ):
            self._print(line)

    # --- looking ---------------------------------------------------------------------------------------

    def _is_web_up(self) -> bool:
        with suppress(OSError, http.client.HTTPException):
            return self._request("GET", "/healthz")[0] == 200
        return False

    def _failed_delivery(self) -> Delivery | None:
        found = Delivery.objects.filter(store=self.store, last_status=500).first()
        return found if found is not None and found.status in ("retrying", "failed") else None

    def _notification(self, delivery: Delivery, status: str) -> Notification | None:
        found = Notification.objects.filter(integration=delivery.integration_id, level="error", status=status)
        return found.filter(resolved_by="auto" if status == "resolved" else None).first()

    def _succeeded(self, delivery: Delivery) -> bool:
        delivery.refresh_from_db()
        return delivery.status == Delivery.Status.SUCCEEDED

    def _is_record_fixed(self) -> bool:
        record = Record.objects.get(store=self.store, type="shipment", external_id="1111111111")
        return bool(record.data["shipping_address"]["phone"] == GOOD_PHONE)

    def _push(self, document: dict[str, Any], what: str) -> None:
        headers = {"X-Hub-Store": str(self.store.id), "X-Hub-Access-Token": self.token}
        try:
            status, body = self._request("POST", "/api/v1/push", json.dumps(document), headers)
        except (OSError, http.client.HTTPException) as error:
            raise StepFailed(f"pushed {what} ({error})") from None
        if status != 202 or json.loads(body) != {"shipments": 1}:
            raise StepFailed(f"pushed {what} (the answer was {status} {body[:500]})")
        self.done(f"pushed {what}: 202 {body.strip()}")

    def _request(
        self, method: str, path: str, body: str = "", headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        address = self.url.removeprefix("http://")
        connection = http.client.HTTPConnection(address, timeout=10)
        try:
            connection.request(method, path, body.encode(), headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    # --- telling ---------------------------------------------------------------------------------------

    def wait(self, step: str, seconds: float, look: Callable[[], Found | None]) -> Found:
        """Poll `look` until it finds something, and return that. Raises StepFailed after `seconds`."""
        until = time.monotonic() + seconds
        while not self.is_stopping():
            with suppress(OperationalError):  # SQLite is busy: try again
                if found := look():
                    self.done(step)
                    return found
            if time.monotonic() > until:
                raise StepFailed(f"{step} (not within {seconds:.0f} s)")
            time.sleep(0.1)
        raise Interrupted

    def done(self, text: str) -> None:
        self._print(f"  [ok] {text}")

    def tell(self, text: str) -> None:
        self._print(f"       {text}")

    def _print(self, text: str) -> None:
        self.out.write(text + "\n")
        self.out.flush()

    def _relative(self, path: Path) -> str:
        with suppress(ValueError):
            return str(path.relative_to(Path.cwd()))
        return str(path)
