"""Errors in the viewer's language on pages; what is stored, and files, in English."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation

from deliveries.previews.ping import ping_now
from integrations.models import AuditEntry
from integrations.transport.guard.addresses import AddressPolicy, UrlRefused, check_url
from subscriptions.routing import TopicRule
from tests.factories import IntegrationFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def german(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each text is in brackets while German is spoken."""

    def bracketed(text: str) -> str:
        return f"[{text}]" if translation.get_language() == "de" and text else text

    translation.gettext("")  # loads what is replaced
    monkeypatch.setattr(translation._trans, "gettext", lambda text: bracketed(str(text)))


@pytest.mark.usefixtures("german")
def test_a_refused_url_says_why_in_the_language_of_the_page() -> None:
    with translation.override("de"), pytest.raises(UrlRefused) as caught:
        check_url("https://10.0.0.1/hook", AddressPolicy(()))
    assert "[a private network (RFC 1918)]" in caught.value.reason
    with pytest.raises(UrlRefused) as caught:
        check_url("https://10.0.0.1/hook", AddressPolicy(()))
    assert "[" not in caught.value.reason


@pytest.mark.usefixtures("german")
def test_a_schema_that_was_compiled_for_one_reader_speaks_the_language_of_the_next() -> None:
    rule = TopicRule("order.paid", {"minimum": 5}, "")
    broken = TopicRule("order.paid", {"type": 5}, "")
    with translation.override("de"):
        assert rule.violations(3)[0].message.startswith("[")
        assert broken.violations(3)[0].message.startswith("[the schema of the topic")
    assert rule.violations(3)[0].message == "3 is less than the minimum of 5"
    assert "[" not in broken.violations(3)[0].message


@pytest.mark.usefixtures("german")
def test_what_a_test_stores_is_english_whoever_sends_it() -> None:
    integration = IntegrationFactory(url="https://10.0.0.1/hook")
    with translation.override("de"):
        attempt = ping_now(integration=integration, now=integration.created_at)
    assert "private network" in attempt.error_message
    assert "[" not in attempt.error_message


@pytest.mark.usefixtures("german")
def test_the_name_of_an_exported_file_is_english() -> None:
    client = Client(headers={"Accept-Language": "de"})
    client.force_login(UserFactory(is_superuser=True))
    response = client.post(reverse("admin:integrations_store_export_csv"))
    assert "hookdesk-stores-" in response["Content-Disposition"]
    assert AuditEntry.objects.get(action="export").target_name == "Stores"
