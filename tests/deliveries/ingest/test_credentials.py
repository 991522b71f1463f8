"""Who may push: tokens in each of their forms, and what a change of the configuration does at once."""

import pytest
from rest_framework.test import APIClient

from deliveries.models import Event
from integrations.models import AccessToken, Store
from tests.factories import AccessTokenFactory, IntegrationFactory, SubscriptionFactory

PUSH = "/api/v1/push"


class TestCredentials:
    @pytest.mark.parametrize(
        "headers", [{}, {"X-Hub-Store": "x", "X-Hub-Access-Token": "y"}, {"Authorization": "Basic !"}]
    )
    def test_missing_or_wrong_ones_are_401(self, db, headers):
        response = APIClient().post(PUSH, {"a": []}, format="json", headers=headers)
        assert response.status_code == 401
        assert response.json()["errors"][0]["code"] == "unauthorized"

    def test_bearer_and_basic_name_the_store_by_the_tokens_prefix(self, token):
        import base64

        for credentials in (f"{token.store_id}:{token.text}", f"{token.text}:"):
            basic = base64.b64encode(credentials.encode()).decode()
            response = APIClient().post(PUSH, {"a": []}, format="json", headers={"Authorization": f"Basic {basic}"})
            assert response.status_code == 202
        response = APIClient().post(PUSH, {"a": []}, format="json", headers={"Authorization": f"Bearer {token.text}"})
        assert response.status_code == 202

    def test_the_token_of_another_store_is_401(self, token):
        other = AccessTokenFactory()
        headers = {"X-Hub-Store": str(token.store_id), "X-Hub-Access-Token": other.text}
        assert APIClient().post(PUSH, {"a": []}, format="json", headers=headers).status_code == 401

    def test_a_token_revoked_anywhere_stops_working_at_once(self, post, token):
        assert post(PUSH, {"orders": [{"id": "1"}]}).status_code == 202
        AccessToken.objects.update(revoked_at="2026-01-01T00:00:00Z")
        assert post(PUSH, {"orders": [{"id": "2"}]}).status_code == 401
        assert post(PUSH, {"orders": []}).status_code == 401
        assert Event.objects.count() == 1

    def test_a_token_without_the_scope_is_403(self, token):
        weak = AccessTokenFactory(store=token.store, scopes=["manage"])
        response = APIClient().post(PUSH, {"a": []}, format="json", headers=weak.headers)
        assert (response.status_code, response.json()["errors"][0]["code"]) == (403, "forbidden")


def test_every_change_of_configuration_ticks_the_stores_version(token):
    def version():
        return Store.objects.get(id=token.store_id).config_version

    versions = [version()]
    integration = IntegrationFactory(store=token.store)
    versions.append(version())
    type(integration).objects.filter(id=integration.id).update(url="http://127.0.0.1/x")
    versions.append(version())
    subscription = SubscriptionFactory(integration=integration)
    versions.append(version())
    subscription.delete()
    versions.append(version())
    AccessToken.objects.filter(id=token.id).update(last_used_at="2026-01-01T00:00:00Z")
    assert version() == versions[-1], "use of a token is no change"
    assert versions == sorted(set(versions))


def test_a_changed_word_list_counts_at_once_and_saving_a_store_never_turns_its_version_back(post, token):
    post(PUSH, {"kudos": [{"id": "1"}]})
    store, stale = Store.objects.get(id=token.store_id), Store.objects.get(id=token.store_id)
    store.singular_overrides = {"kudos": "kudos"}
    store.save()
    post(PUSH, {"kudos": [{"id": "2"}]})
    assert list(Event.objects.order_by("id").values_list("topic", flat=True)) == ["kudo.created", "kudos.created"]
    before = Store.objects.get(id=token.store_id).config_version
    stale.name = "Saved by somebody who opened the form earlier"
    stale.save()
    assert Store.objects.get(id=token.store_id).config_version > before
