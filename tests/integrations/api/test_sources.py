"""Sources by the API: made, changed, rotated, deleted; never another store's, never a secret again."""

from __future__ import annotations

import json

import pytest

from integrations.models import AuditEntry, Source, SourceAddress, SourceSecret
from tests.api_client import ApiClient, only_error

pytestmark = pytest.mark.django_db


@pytest.fixture
def store() -> ApiClient:
    return ApiClient()


def made(store, **values):
    response = store.post("sources", {"name": "Shop", "kind": "github", **values})
    assert response.status_code == 201, response.content
    return response.json()


def test_a_source_has_an_address_and_a_secret_that_is_shown_once(store, settings):
    settings.PUBLIC_URL = "https://hooks.example.com"
    body = made(store)
    assert body["slug"] == "shop"
    assert body["address"].startswith("https://hooks.example.com/in/")
    assert len(body["address"].rpartition("/")[2]) >= 32
    assert len(body["secret"]) == 64
    assert (body["mode"], body["mapping"]["topic"], body["is_enabled"]) == ("event", None, True)
    for shown in (store.get("sources/shop"), store.get("sources"), store.patch("sources/shop", {"name": "Shop 2"})):
        assert body["secret"] not in shown.text
    assert body["secret"] not in json.dumps(list(AuditEntry.objects.values("before", "after")))


def test_addresses_and_secrets_are_ciphertext_in_the_database(store):
    from django.db import connection

    body = made(store)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT token FROM integrations_sourceaddress UNION ALL SELECT value FROM integrations_sourcesecret"
        )
        stored = json.dumps(cursor.fetchall())
    assert body["secret"] not in stored
    assert body["address"].rpartition("/")[2] not in stored


@pytest.mark.parametrize(
    ("kind", "has_secret", "mode"),
    [("standard", True, "event"), ("hub", True, "record"), ("stripe", False, "event"), ("xml", False, "record"),
     ("mailchimp", False, "event")],
)  # fmt: skip
def test_secret_and_mode_are_the_kinds(store, kind, has_secret, mode):
    body = made(store, kind=kind)
    assert (body["secret"] is not None, body["mode"]) == (has_secret, mode)


@pytest.mark.parametrize(
    ("values", "field", "code"),
    [
        ({"kind": "fax"}, "kind", "parameter_invalid"),
        ({"name": None}, "name", "parameter_invalid"),
        ({"name": ""}, "name", "parameter_invalid"),
        ({"slug": "a b"}, "slug", "parameter_invalid"),
        ({"mode": "both"}, "mode", "parameter_invalid"),
        ({"is_enabled": "yes"}, "is_enabled", "parameter_invalid"),
        ({"options": []}, "options", "parameter_invalid"),
        ({"options": {"header": "X-A"}}, "options", "parameter_invalid"),
        ({"kind": "generic", "options": {"proof": "magic"}}, "options", "parameter_invalid"),
        ({"kind": "generic", "options": {"header": "X A"}}, "options", "parameter_invalid"),
        ({"kind": "generic", "options": {"prefix": "a\nb"}}, "options", "parameter_invalid"),
        ({"kind": "stripe", "options": {"tolerance": 0}}, "options", "parameter_invalid"),
        ({"kind": "standard", "secret": "short"}, "secret", "parameter_invalid"),
        ({"mapping": {"nosuch": "a"}}, "mapping", "parameter_invalid"),
        ({"mapping": {"topic": "a ==="}}, "mapping", "parameter_invalid"),
        ({"mapping": {"topic": 1}}, "mapping", "parameter_invalid"),
        ({"mapping": "body"}, "mapping", "parameter_invalid"),
    ],
    ids=str,
)
def test_bad_values_are_refused_by_field_and_nothing_is_made(store, values, field, code):
    response = store.post("sources", {"name": "Shop", "kind": "github", **values})
    assert response.status_code == 400
    error = only_error(response)
    assert (error["field"], error["code"]) == (field, code)
    assert not Source.objects.exists()


def test_what_is_required_is_said(store):
    assert only_error(store.post("sources", {"kind": "hub"}))["code"] == "missing_parameter"
    assert only_error(store.post("sources", {"name": "x"}))["field"] == "kind"


def test_a_slug_is_taken_once_and_free_again_after_deletion(store):
    made(store, slug="shop")
    assert store.post("sources", {"name": "Shop", "kind": "hub", "slug": "shop"}).status_code == 409
    assert made(store)["slug"] == "shop-2"
    assert store.delete("sources/shop").status_code == 204
    assert not SourceAddress.objects.filter(source__slug="shop").exists()
    assert not SourceSecret.objects.filter(source__slug="shop").exists()
    assert made(store, slug="shop")["slug"] == "shop"


def test_a_kind_cannot_be_changed_and_all_else_can(store):
    made(store)
    assert only_error(store.patch("sources/shop", {"kind": "hub"}))["field"] == "kind"
    changed = {"name": "B", "mode": "record", "mapping": {"topic": "body.t"}, "is_enabled": False, "slug": "b"}
    body = store.patch("sources/shop", changed).json()
    assert body["mapping"]["topic"] == "body.t"
    assert {key: body[key] for key in ("name", "mode", "is_enabled", "slug")} == {
        key: changed[key] for key in ("name", "mode", "is_enabled", "slug")
    }
    assert store.patch("sources/b", {"mapping": None, "options": None}).json()["mapping"]["topic"] is None


def test_a_given_secret_is_kept_and_a_mask_means_as_it_is(store):
    body = made(store, kind="stripe", secret="whsec_given")
    assert body["secret"] == "whsec_given"
    store.patch("sources/shop", {"secret": "***"})
    assert [each.value for each in SourceSecret.objects.all()] == ["whsec_given"]
    store.patch("sources/shop", {"secret": "whsec_new"})
    assert SourceSecret.objects.count() == 2
    store.patch("sources/shop", {"secret": ""})
    assert not SourceSecret.objects.exists()


def test_a_vendors_secret_is_not_ours_to_rotate(store):
    made(store, kind="stripe")
    response = store.post("sources/shop/rotate_secret")
    assert response.status_code == 400
    assert "comes from the sender" in only_error(response)["message"]


def test_no_proof_comes_with_a_warning(store):
    assert "not proven" in made(store, kind="generic", options={"proof": "none"})["warning"]


def test_another_stores_sources_do_not_exist(store):
    made(store)
    other = ApiClient()
    for method, path in [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rotate_address"),
                         ("POST", "/rotate_secret"), ("GET", "/requests")]:  # fmt: skip
        assert other.call(method, f"sources/shop{path}", {} if method != "GET" else None).status_code == 404
    assert other.get("sources").json()["items"] == []


def test_a_token_that_only_pushes_may_not_manage_sources(store):
    pusher = ApiClient(store.store, scopes=("push",))
    assert pusher.post("sources", {"name": "x", "kind": "hub"}).status_code == 403
