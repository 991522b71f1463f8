"""Encrypting everything anew with the first key."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import CommandError, call_command

from config.key_rotation import encrypted_columns, rotate_keys
from deliveries.models import Attempt
from integrations.models import Integration, Secret
from integrations.security.encryption import decrypt_bytes, encrypt_bytes
from tests.factories import AttemptFactory, IntegrationFactory, SecretFactory, SubscriptionFactory

pytestmark = pytest.mark.django_db
OLD, NEW = "the-old-key-of-the-tests", "the-new-key-of-the-tests"


@pytest.fixture
def keys(settings):
    """Sets the keys: the first encrypts."""

    def choose(*chosen: str) -> None:
        settings.ENCRYPTION_KEYS = list(chosen)

    choose(OLD)
    return choose


def test_all_encrypted_fields_are_known():
    labels = {column.label for column in encrypted_columns()}

    assert labels >= {
        "integrations.Integration.token",
        "integrations.Integration.parameters",
        "integrations.Secret.value",
        "subscriptions.Subscription.parameters",
        "notifications.Channel.auth_token",
        "deliveries.Attempt.request_body",
    }


def test_afterwards_the_new_key_alone_opens_everything(keys):
    integration = IntegrationFactory(token="a token", parameters={"api_key": "k"})
    SecretFactory(integration=integration, value="whsec_x")
    SubscriptionFactory(integration=integration, parameters={"from": "me"})
    body = encrypt_bytes(b'{"parameters":{"api_key":"k"}}')
    AttemptFactory(request_body=body, is_body_encrypted=True)
    plain = AttemptFactory(request_body=b"plain")

    keys(NEW, OLD)
    rotated = rotate_keys(batch=1)
    keys(NEW)

    assert rotated.changed == 5
    found = Integration.objects.get(id=integration.id)
    assert (found.token, found.parameters) == ("a token", {"api_key": "k"})
    assert Secret.objects.get().value == "whsec_x"
    assert found.subscriptions.get().parameters == {"from": "me"}
    stored = bytes(Attempt.objects.get(is_body_encrypted=True).request_body)
    assert decrypt_bytes(stored) == b'{"parameters":{"api_key":"k"}}'
    plain.refresh_from_db()
    assert bytes(plain.request_body) == b"plain"


def test_twice_changes_nothing_more(keys):
    IntegrationFactory(token="a token")
    keys(NEW, OLD)

    assert rotate_keys().changed == 1
    again = rotate_keys()
    assert (again.changed, again.unreadable) == (0, [])


def test_what_no_key_opens_is_named_and_left_alone(keys):
    integration = IntegrationFactory(token="a token")
    keys(NEW)
    out = io.StringIO()
    with pytest.raises(CommandError, match=f"Integration.token {integration.id}"):
        call_command("rotate_keys", "--json", stdout=out)

    assert json.loads(out.getvalue())["unreadable"] == [f"integrations.Integration.token {integration.id}"]
    keys(NEW, OLD)
    assert Integration.objects.get(id=integration.id).token == "a token"
