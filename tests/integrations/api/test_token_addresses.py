"""Tokens that are bound to addresses, and tokens that a scanner recognises."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from deliveries.api import direct
from deliveries.models import Event
from integrations.models import AccessToken
from integrations.security.tokens import TOKEN, is_token
from tests.api_client import ApiClient, only_error
from tests.factories import AccessTokenFactory

pytestmark = pytest.mark.django_db
OFFICE, ELSEWHERE = "203.0.113.7", "198.51.100.1"


@pytest.fixture
def bound() -> dict[str, str]:
    """Headers of a token for the office and a network of IPv6."""
    answer = ApiClient().post("tokens", {"name": "CI", "addresses": [OFFICE, "2001:db8::/32", OFFICE]})
    assert answer.json()["addresses"] == [f"{OFFICE}/32", "2001:db8::/32"]
    return {"Authorization": f"Bearer {answer.json()['token']}"}


@pytest.mark.parametrize("address", [OFFICE, "2001:db8::1"])
def test_a_bound_token_works_from_its_addresses(bound: dict[str, str], address: str) -> None:
    assert Client().get("/api/v1/tokens", headers=bound, REMOTE_ADDR=address).status_code == 200


@pytest.mark.parametrize("address", [ELSEWHERE, "2001:db9::1", ""])
def test_from_elsewhere_it_is_refused_and_nothing_is_pushed(bound: dict[str, str], address: str) -> None:
    body = '{"shipments":[{"id":"1"}]}'
    for _ in range(2):  # the second time from the cache
        answer = Client().post("/api/v1/push", body, content_type="text/plain", headers=bound, REMOTE_ADDR=address)
        assert answer.status_code == 403
        assert only_error(answer)["code"] == "forbidden"
        assert (address or "unknown") in only_error(answer)["message"]
    assert not Event.objects.exists()


def test_only_a_trusted_proxys_word_for_the_address_counts(bound: dict[str, str], settings: Any) -> None:
    forged = {**bound, "X-Forwarded-For": OFFICE}
    assert Client().get("/api/v1/tokens", headers=forged, REMOTE_ADDR=ELSEWHERE).status_code == 403
    settings.TRUSTED_PROXIES = ["198.51.100.0/24"]
    assert Client().get("/api/v1/tokens", headers=forged, REMOTE_ADDR=ELSEWHERE).status_code == 200


def test_the_event_loop_leaves_bound_tokens_to_the_view_which_knows_the_address(bound: dict[str, str]) -> None:
    client = Client(REMOTE_ADDR=OFFICE)
    assert client.post("/api/v1/push", '{"shipments":[{"id":"1"}]}', "text/plain", headers=bound).status_code == 202
    headers = {b"authorization": bound["Authorization"].encode()}
    assert direct.accept(headers, b'{"shipments":[{"id":"2"}]}', is_objects=True) is None


def test_a_leaked_token_is_recognised_by_its_form_and_checksum() -> None:
    text = ApiClient().post("tokens", {"name": "CI"}).json()["token"]
    assert TOKEN.fullmatch(text)
    assert is_token(text)
    assert not is_token(text[:-1] + ("0" if text[-1] != "0" else "1"))
    assert not is_token(text[:20] + ("a" if text[20] != "a" else "b") + text[21:])


def test_what_only_looks_like_a_token_is_refused_without_the_database(django_assert_num_queries: Any) -> None:
    wrong = "hkd_" + "a" * 12 + "_" + "0" * 56
    with django_assert_num_queries(0):
        assert Client().get("/api/v1/tokens", headers={"Authorization": f"Bearer {wrong}"}).status_code == 401


def test_tokens_from_before_there_was_a_checksum_go_on_working() -> None:
    old = "hkd_abcdefghijkm_" + "0f" * 24
    token = AccessTokenFactory(scopes=["manage"])
    AccessToken.objects.filter(pk=token.pk).update(prefix="hkd_abcdefghijkm", token_hash=AccessToken.hash_of(old))
    assert Client().get("/api/v1/tokens", headers={"Authorization": f"Bearer {old}"}).status_code == 200
