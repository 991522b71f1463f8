"""What no key opens any more can still be deleted, whichever way somebody takes."""

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from integrations.foundation.audit import HOOKDESK
from integrations.models import AuditEntry, Integration, Secret
from integrations.services import delete_integration
from subscriptions.models import Subscription
from subscriptions.services import delete_subscription
from tests.api_client import ApiClient
from tests.factories import IntegrationFactory, SubscriptionFactory

pytestmark = pytest.mark.django_db

NO_CIPHERTEXT = "no ciphertext"


@pytest.fixture
def client():
    return ApiClient()


@pytest.fixture
def subscription(client):
    """Nothing of it can be read: tokens, parameters, secrets."""
    integration = IntegrationFactory(store=client.store)
    Secret.objects.create(integration=integration, value="whsec_x")
    made = SubscriptionFactory(integration=integration)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE integrations_integration SET token = %s, parameters = %s", [NO_CIPHERTEXT] * 2)
        cursor.execute("UPDATE subscriptions_subscription SET parameters = %s", [NO_CIPHERTEXT])
        cursor.execute("UPDATE integrations_secret SET value = %s", [NO_CIPHERTEXT])
    return made


def alive(rows):
    return rows.objects.alive().exists()


class TestAnIntegration:
    def test_by_the_service(self, subscription):
        integration = Integration.objects.without_credentials().get()
        delete_integration(integration=integration, actor=HOOKDESK)
        assert not alive(Integration) and not alive(Subscription)
        before = AuditEntry.objects.get(action="delete").before
        assert before["token"] == before["parameters"] == "(undecryptable)"
        assert before["url"] == integration.url

    def test_by_the_api(self, client, subscription):
        slug = Integration.objects.values_list("slug", flat=True).get()
        assert client.delete(f"integrations/{slug}").status_code == 204
        assert not alive(Integration)

    def test_by_the_desk(self, admin_client: Client, subscription):
        url = reverse("admin:integrations_integration_delete", args=[subscription.integration_id])
        assert admin_client.get(url).status_code == 200
        assert admin_client.post(url, {"reason": "no key"}).status_code == 302
        assert not alive(Integration)


class TestASubscription:
    def test_by_the_service(self, subscription):
        delete_subscription(subscription=Subscription.objects.without_credentials().get(), actor=HOOKDESK)
        assert not alive(Subscription)
        assert AuditEntry.objects.get(action="delete").before["parameters"] == "(undecryptable)"

    def test_by_the_api(self, client, subscription):
        response = client.delete(f"subscriptions/nsub_{subscription.id.hex}")
        assert (response.status_code, response.json()["active"]) == (200, False)
        assert not alive(Subscription)

    def test_by_the_desk(self, admin_client: Client, subscription):
        url = reverse("admin:subscriptions_subscription_delete", args=[subscription.id])
        assert admin_client.get(url).status_code == 200
        assert admin_client.post(url, {"reason": "no key"}).status_code == 302
        assert not alive(Subscription)
