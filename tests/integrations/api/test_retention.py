"""How long a store keeps what happened, read and set by API."""

from __future__ import annotations

import pytest

from integrations.models import AuditEntry, Retention
from integrations.services.retention import DAYS_LIMIT, KINDS
from tests.api_client import ApiClient, only_error

pytestmark = pytest.mark.django_db
NOTHING = dict.fromkeys(KINDS)


def test_without_a_rule_of_its_own_a_store_has_the_defaults(client: ApiClient, settings) -> None:
    settings.RETENTION_DAYS = 60
    defaults = {"successes": 60, "failures": 60, "records": None, "notifications": 60, "audit": None}
    assert client.get("retention").json() == NOTHING | {"defaults": defaults}
    assert not Retention.objects.exists()


def test_days_are_set_by_kind_and_null_is_the_default_again(client: ApiClient) -> None:
    found = client.patch("retention", {"successes": 7, "records": 365}).json()
    assert {kind: found[kind] for kind in KINDS} == NOTHING | {"successes": 7, "records": 365}
    assert client.patch("retention", {"successes": None}).json()["successes"] is None
    found = client.get("retention").json()
    assert {kind: found[kind] for kind in KINDS} == NOTHING | {"records": 365}
    assert ApiClient().get("retention").json()["records"] is None


def test_each_change_is_audited_and_what_changes_nothing_is_not(client: ApiClient) -> None:
    client.patch("retention", {"audit": 400})
    client.patch("retention", {"audit": 400})
    client.patch("retention", {})
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.store) == (
        "change retention",
        f"token {client.token.name}",
        client.store,
    )
    assert (entry.before, entry.after) == (NOTHING, NOTHING | {"audit": 400})


@pytest.mark.parametrize("days", [0, -1, DAYS_LIMIT + 1, 1.5, "7", True, [7], {}])
def test_what_is_no_number_of_days_is_refused_and_nothing_changes(client: ApiClient, days: object) -> None:
    answer = client.patch("retention", {"successes": 7, "failures": days})
    assert (answer.status_code, only_error(answer)["field"]) == (400, "failures")
    assert not Retention.objects.exists()


def test_reading_takes_read_and_setting_takes_manage(client: ApiClient) -> None:
    for scope in ("read", "resolve", "propose"):
        weaker = ApiClient(client.store, scopes=(scope,))
        assert weaker.get("retention").status_code == 200
        assert weaker.patch("retention", {"audit": 1}).status_code == 403
    assert ApiClient(client.store, scopes=("push",)).get("retention").status_code == 403
    assert not Retention.objects.exists()
