"""What the connectors share."""

from __future__ import annotations

import pytest
from django.conf import settings as django_settings

from integrations.connectors import base_url, get_connector
from integrations.connectors.base import text_of
from tests.integrations.messages import message

PARAMETERS = {"account_sid": "AC1", "auth_token": "auth-token-1", "api_key": "key-us7", "list_id": "l1"}
DATA = {"from": "1", "phone": "2", "message": "m", "email": "a@b.example", "buyer_accepts_marketing": True}


@pytest.mark.parametrize(
    ("name", "setting", "vendor"),
    [
        ("twilio_sms", "TWILIO_BASE_URL", "https://api.twilio.com/"),
        ("mailchimp", "MAILCHIMP_BASE_URL", "https://us7.api.mailchimp.com/"),
        ("campaign_monitor", "CAMPAIGN_MONITOR_BASE_URL", "https://api.createsend.com/"),
    ],
)
def test_the_vendors_address_is_a_setting(monkeypatch, name, setting, vendor):
    asked = message(DATA, endpoint={"parameters": PARAMETERS})
    monkeypatch.setattr(django_settings, setting, "", raising=False)
    assert get_connector(name).build(asked).url.startswith(vendor)
    monkeypatch.setattr(django_settings, setting, "http://127.0.0.1:8999/", raising=False)
    assert get_connector(name).build(asked).url.startswith("http://127.0.0.1:8999/")
    assert "//" not in get_connector(name).build(asked).url.removeprefix("http://")


def test_a_setting_that_does_not_exist_means_the_vendor():
    assert base_url("NO_SUCH_BASE_URL", "https://vendor.example/") == "https://vendor.example"


@pytest.mark.parametrize(
    ("value", "text"), [(" a ", "a"), (7, "7"), (7.5, "7.5"), (True, ""), (None, ""), ([], ""), ({"a": 1}, "")]
)
def test_only_strings_and_numbers_are_texts(value, text):
    assert text_of(value) == text
