"""Adding channels of each kind in the desk."""

from __future__ import annotations

import json

import pytest
from django.test import Client
from django.urls import reverse

from integrations.models import AuditEntry
from notifications.channels import CHANNEL_KINDS
from notifications.models import Channel

ADD = "admin:notifications_channel_add"
DATA = {"name": "On call", "level": "error", "window_minutes": "60", "digest_minutes": "0", "is_enabled": "on"}


def test_the_kind_is_chosen_on_cards(admin: Client, db: None) -> None:
    page = admin.get(reverse(ADD)).text
    for name in CHANNEL_KINDS:
        assert f"?kind={name}" in page
        assert admin.get(reverse(ADD), {"kind": name}).status_code == 200


def test_a_pager_is_added_with_its_key_which_is_never_shown(admin: Client, db: None) -> None:
    data = {**DATA, "kind": "pagerduty"}
    assert "Integration key is required." in admin.post(reverse(ADD), data).text
    admin.post(reverse(ADD), {**data, "option_routing_key": "R0123456789abcdef"})
    channel = Channel.objects.get()
    assert (channel.recipients, channel.options) == (["PagerDuty"], {"routing_key": "R0123456789abcdef"})
    address = reverse("admin:notifications_channel_change", args=[channel.pk])
    page = admin.get(address).text
    assert "R0123456789abcdef" not in page
    assert "Send a test to PagerDuty" in page
    admin.post(address, {**data, "name": "Night", "option_routing_key": ""})
    channel.refresh_from_db()
    assert (channel.name, channel.options) == ("Night", {"routing_key": "R0123456789abcdef"})
    assert "R0123456789abcdef" not in json.dumps(list(AuditEntry.objects.values_list("before", "after")))


@pytest.mark.parametrize("url", ["", "nowhere", "ftp://hooks.slack.com/x"])
def test_a_wrong_url_is_refused_at_its_field(admin: Client, db: None, url: str) -> None:
    assert "errorlist" in admin.post(reverse(ADD), {**DATA, "kind": "teams", "option_url": url}).text
    assert not Channel.objects.exists()
