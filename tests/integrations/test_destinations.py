"""A URL whose host name leads to forbidden addresses only is refused when it is saved, by every way to save one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client

from integrations.foundation.audit import HOOKDESK
from integrations.models import Integration
from integrations.services import create_integration, update_integration, values
from integrations.transport.guard import dns
from subscriptions.models import Subscription
from tests.api_client import ApiClient, only_error
from tests.factories import IntegrationFactory, StoreFactory, UserFactory

INSIDE = "https://inside.example.com/hook"
FORBIDDEN = ["10.0.0.1", "169.254.169.254", "192.168.1.1", "fd00::1", "::ffff:10.0.0.1", "100.64.0.1", "0.0.0.0"]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the names resolve to: addresses, an exception to raise, or a function to call."""
    found: dict[str, Any] = {}

    def look_up(name: str) -> tuple[str, ...]:
        answer = found.get(name, OSError("no such name"))
        if isinstance(answer, Exception):
            raise answer
        return tuple(answer() if callable(answer) else answer)

    monkeypatch.setattr(dns, "_system_lookup", look_up)
    dns.shared_resolver().forget()
    yield found
    dns.shared_resolver().forget()


def accepts(url: str) -> bool:
    reasons: dict[str, list[str]] = {}
    try:
        create_integration(store=StoreFactory(), actor=HOOKDESK, name="Mirror", url=url)
    except ValidationError as error:
        reasons = error.message_dict
    assert set(reasons) <= {"url"}
    assert all("OUTBOUND_ALLOW" in reason for reason in reasons.get("url", []))
    return not reasons


@pytest.mark.django_db
class TestWhatIsRefused:
    @pytest.mark.parametrize("address", FORBIDDEN)
    def test_a_name_of_one_forbidden_address(self, names: dict[str, Any], address: str) -> None:
        names["inside.example.com"] = [address]
        assert not accepts(INSIDE)
        assert not Integration.objects.exists()

    def test_a_name_of_several_forbidden_ones(self, names: dict[str, Any]) -> None:
        names["inside.example.com"] = FORBIDDEN
        assert not accepts(INSIDE)

    @pytest.mark.parametrize("url", ["http://inside.example.com:8080/", "https://INSIDE.example.com?x=1"])
    def test_however_it_is_written(self, names: dict[str, Any], url: str) -> None:
        names["inside.example.com"] = names["INSIDE.example.com"] = ["10.0.0.1"]
        assert not accepts(url)


@pytest.mark.django_db
class TestWhatIsAccepted:
    @pytest.mark.parametrize(
        "answer",
        [["93.184.216.34"], ["10.0.0.1", "93.184.216.34"], ["127.0.0.1"], OSError("no such name"), []],
        ids=["public", "mixed", "allowed by OUTBOUND_ALLOW", "unknown", "no addresses"],
    )
    def test_the_connection_decides(self, names: dict[str, Any], answer: Any) -> None:
        names["inside.example.com"] = answer if answer else OSError("no addresses")
        assert accepts(INSIDE)

    def test_a_name_that_resolves_now_and_then(self, names: dict[str, Any]) -> None:
        answers: list[Any] = [OSError("try again"), ["10.0.0.1"]]

        def flapping() -> Any:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        names["inside.example.com"] = flapping
        assert accepts(INSIDE)
        assert not accepts(INSIDE)

    def test_a_look_up_that_hangs_is_not_waited_for(
        self, names: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert values.LOOKUP_SECONDS == 2.0
        monkeypatch.setattr(values, "LOOKUP_SECONDS", 0.2)
        released = threading.Event()
        names["inside.example.com"] = lambda: released.wait(60) and ["10.0.0.1"]
        started = time.monotonic()
        try:
            assert accepts(INSIDE)
        finally:
            released.set()
        assert time.monotonic() - started < 30

    def test_what_is_saved_already_can_be_changed_otherwise(self, names: dict[str, Any]) -> None:
        integration = IntegrationFactory(url=INSIDE)
        names["inside.example.com"] = ["10.0.0.1"]
        update_integration(integration=integration, actor=HOOKDESK, url=INSIDE, timeout=7)
        integration.refresh_from_db()
        assert integration.timeout == 7


@pytest.fixture
def outside_transactions(names: dict[str, Any]) -> list[bool]:
    """Each look-up notes whether the thread that waits for it held a transaction."""
    held: list[bool] = []
    resolve = dns.Resolver.resolve

    def noting(self: Any, name: str, timeout: float) -> Any:
        held.append(connection.in_atomic_block)
        return resolve(self, name, timeout)

    names["inside.example.com"] = ["10.0.0.1"]
    dns.Resolver.resolve = noting  # type: ignore[method-assign]
    yield held
    dns.Resolver.resolve = resolve  # type: ignore[method-assign]
    assert held and not any(held)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("outside_transactions")
class TestEveryWayToSaveOne:
    """Each is answered 400 with the field, changes nothing, and holds no transaction while it asks."""

    def refused(self, response: Any) -> None:
        assert response.status_code == 400, response.content
        assert only_error(response)["field"] == "url"

    def test_a_new_integration_by_the_api(self) -> None:
        self.refused(ApiClient().post("integrations", {"name": "Mirror", "url": INSIDE}))
        assert not Integration.objects.exists()

    def test_a_changed_one_by_the_api(self) -> None:
        client = ApiClient()
        integration = IntegrationFactory(store=client.store)
        self.refused(client.patch(f"integrations/{integration.slug}", {"url": INSIDE}))
        integration.refresh_from_db()
        assert integration.url != INSIDE

    def test_a_new_subscription_with_a_url(self) -> None:
        self.refused(ApiClient().post("subscriptions", {"url": INSIDE, "topics": ["user.created"]}))
        assert not Subscription.objects.exists() and not Integration.objects.exists()

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
    def test_a_subscription_that_gets_another_url(self, method: str) -> None:
        client = ApiClient()
        body = {"url": "http://127.0.0.1:9/hook", "topics": ["user.created"]}
        made = client.post("subscriptions", body).json()
        self.refused(client.call(method, f"subscriptions/{made['id']}", body | {"url": INSIDE}))
        assert Integration.objects.get().url == "http://127.0.0.1:9/hook"

    def test_the_admins_form(self) -> None:
        integration = IntegrationFactory()
        browser = Client()
        browser.force_login(UserFactory())
        page = f"/admin/integrations/integration/{integration.pk}/change/"
        form = browser.get(page).context["form"]
        data = {name: "" if (value := form[name].value()) is None else value for name in form.fields} | {"url": INSIDE}
        response = browser.post(page, {name: value for name, value in data.items() if value is not False})
        assert response.status_code == 200
        assert "OUTBOUND_ALLOW" in " ".join(response.context["form"].errors["url"])
        integration.refresh_from_db()
        assert integration.url != INSIDE
