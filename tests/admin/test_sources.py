"""Setting up a source in the desk, and watching it."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from deliveries.models import Event, SourceRequest
from integrations.foundation.audit import Actor
from integrations.models import AuditEntry, Source
from integrations.services import create_source
from integrations.sources import SOURCE_KINDS
from tests.factories import StoreFactory

ADD = "admin:integrations_source_add"


def page(name: str, source: Any) -> str:
    return reverse(f"admin:{name}", args=[source.pk])


def values(**given: Any) -> dict[str, Any]:
    return {"name": "Till", "mode": "event", **given}


@pytest.fixture
def github(db: None) -> Source:
    return create_source(store=StoreFactory(), actor=Actor(None, "bo"), name="GitHub", kind="github")


@pytest.mark.parametrize("kind", SOURCE_KINDS)
def test_each_kind_has_a_card_a_form_and_a_page_that_says_what_to_do(admin: Client, kind: str) -> None:
    store = StoreFactory()
    assert SOURCE_KINDS[kind].description in html.unescape(admin.get(reverse(ADD)).text)
    assert f"Add {SOURCE_KINDS[kind].label}" in admin.get(reverse(ADD) + f"?kind={kind}").text
    mode = SOURCE_KINDS[kind].default_mode
    response = admin.post(reverse(ADD) + f"?kind={kind}", values(store=store.pk, mode=mode))
    source = Source.objects.get()
    assert response.headers["Location"] == page("integrations_source_change", source)
    shown = admin.get(response.headers["Location"]).text
    assert source.address in shown
    assert f'data-copy="{source.address}"' in shown
    assert SOURCE_KINDS[kind].setup[:40] in html.unescape(shown)
    assert "Waiting for the first request…" in shown
    assert ("is missing" in shown) == (SOURCE_KINDS[kind].key_from == "theirs")


def test_the_secret_is_shown_once(admin: Client) -> None:
    response = admin.post(reverse(ADD) + "?kind=github", values(store=StoreFactory().pk))
    first, second = (admin.get(response.headers["Location"]).text for _ in range(2))
    assert "shown only once" in first
    assert "shown only once" not in second


def test_options_and_mapping_are_kept_and_their_errors_stand_at_their_fields(admin: Client) -> None:
    store = StoreFactory()
    wrong = values(store=store.pk, option_header="X A", mapping_topic="body..")
    text = admin.post(reverse(ADD) + "?kind=generic", wrong).text
    assert not Source.objects.exists()
    assert re.search(r'id="id_mapping_topic".*?errorlist', text, re.DOTALL)
    right = wrong | {"option_header": "X-Sig", "option_tolerance": "60", "mapping_topic": "body.t", "slug": "till-1"}
    admin.post(reverse(ADD) + "?kind=generic", right)
    source = Source.objects.get()
    assert source.options == {"header": "X-Sig", "tolerance": 60}
    assert (source.mapping, source.slug) == ({"topic": "body.t"}, "till-1")
    shown = admin.get(page("integrations_source_change", source)).text
    assert 'value="X-Sig"' in shown
    assert 'value="body.t"' in shown


def test_no_proof_comes_with_a_warning(admin: Client) -> None:
    given = values(store=StoreFactory().pk, option_proof="none")
    response = admin.post(reverse(ADD) + "?kind=generic", given)
    assert "not proven" in admin.get(response.headers["Location"]).text


def test_a_sample_is_shown_first_and_then_taken_in_like_a_real_request(admin: Client, github: Source) -> None:
    shown = admin.get(page("deliveries_sourcerequest_sample", github)).text
    assert "issues.opened" in shown
    assert not Event.objects.exists()
    admin.post(page("deliveries_sourcerequest_sample", github))
    assert Event.objects.get().topic == "issues.opened"
    live = admin.get(page("deliveries_sourcerequest_live", github)).text
    assert "Receiving" in live
    assert "Waiting" not in live
    assert reverse("admin:deliveries_event_change", args=[Event.objects.get().pk]) in live
    assert github.name in admin.get(reverse("admin:deliveries_event_change", args=[Event.objects.get().pk])).text


def test_a_sample_waits_for_the_vendors_secret(admin: Client) -> None:
    stripe = create_source(store=StoreFactory(), actor=Actor(None, "bo"), name="Stripe", kind="stripe")
    admin.post(page("deliveries_sourcerequest_sample", stripe))
    assert not SourceRequest.objects.exists()
    assert "no secret yet" in admin.get(page("integrations_source_change", stripe)).text


def test_a_refused_request_is_shown_with_its_reason_and_without_credentials(admin: Client, github: Source) -> None:
    Client().post(
        github.address.partition("/in/")[1] + github.address.partition("/in/")[2], "{}", content_type="application/json",
        headers={"X-Hub-Signature-256": "sha256=00", "Authorization": "Bearer s3cret-of-someone"},
    )  # fmt: skip
    live = admin.get(page("deliveries_sourcerequest_live", github)).text
    assert "The last request was refused" in live
    row = SourceRequest.objects.get()
    shown = admin.get(reverse("admin:deliveries_sourcerequest_change", args=[row.pk])).text
    assert "is not what the source" in shown
    assert "sha256=00" in shown
    assert "s3cret-of-someone" not in shown


def test_the_preview_follows_the_unsaved_form(admin: Client, github: Source) -> None:
    def previewed(**given: str) -> str:
        return admin.post(page("deliveries_sourcerequest_preview", github), values(**given)).text

    assert "From a sample" in previewed()
    admin.post(page("deliveries_sourcerequest_sample", github))
    assert "issues.opened" in previewed()
    assert "opened.now" in previewed(mapping_topic="concat(body.action, '.now')")
    assert "record" in previewed(mode="record")
    assert "Nothing would be stored" in previewed(mapping_data="body.action")
    assert "mapping" not in previewed(mapping_topic="body..").lower() or "✕ topic" in previewed(mapping_topic="body..")
    github.refresh_from_db()
    assert github.mapping == {}


def test_address_secret_switch_and_deletion_are_confirmed_and_written_down(admin: Client, github: Source) -> None:
    old = github.address
    for name in ("address", "secret", "delete"):
        assert admin.get(page(f"integrations_source_{name}", github)).status_code == 200
    assert github.address == old
    admin.post(page("integrations_source_address", github))
    assert Source.objects.get().address != old
    assert "previous address works until" in admin.get(page("integrations_source_change", github)).text
    admin.post(page("integrations_source_secret", github))
    admin.post(page("integrations_source_switch", github))
    assert "answered 410" in admin.get(page("integrations_source_change", github)).text
    admin.post(page("integrations_source_delete", github))
    assert admin.get(page("integrations_source_change", github)).status_code == 404
    actions = list(AuditEntry.objects.filter(target_type="source").order_by("id").values_list("action", flat=True))
    assert actions == ["create", "rotate address", "rotate secret", "change", "delete"]


def test_the_list_shows_what_came_in_and_finds_by_name(admin: Client, github: Source) -> None:
    address = reverse("admin:integrations_source_changelist")
    assert "waiting" in admin.get(address).text
    admin.post(page("deliveries_sourcerequest_sample", github))
    assert "receiving" in admin.get(address).text
    assert "No source matches" in admin.get(address + "?q=nosuch").text
    assert github.name in admin.get(address + "?q=git").text


def test_a_source_whose_kind_is_gone_can_still_be_seen_and_deleted(admin: Client, github: Source) -> None:
    Source.objects.update(kind="fax")
    assert "not available" in admin.get(page("integrations_source_change", github)).text
    assert "fax" in admin.get(reverse("admin:integrations_source_changelist")).text
    admin.post(page("integrations_source_delete", github))
    assert Source.objects.alive().count() == 0


def test_a_source_that_no_key_decrypts_can_still_be_seen_and_deleted(
    admin: Client, github: Source, settings: Any
) -> None:
    settings.ENCRYPTION_KEYS = ["another-key-of-the-tests"]
    shown = admin.get(page("integrations_source_change", github))
    assert shown.status_code == 200
    assert "undecryptable" in shown.text
    for name, status in (("sample", 302), ("preview", 200)):
        answer = admin.post(page(f"deliveries_sourcerequest_{name}", github), values())
        assert answer.status_code == status, name
    admin.post(page("integrations_source_delete", github))
    assert Source.objects.alive().count() == 0


def test_what_is_received_is_inert(admin: Client) -> None:
    source = create_source(
        store=StoreFactory(), actor=Actor(None, "bo"), name="<b>Till", kind="generic", options={"proof": "none"}
    )
    path = "/in/" + source.address.rpartition("/")[2]
    evil = "<script>alert(1)</script>"
    Client().post(path, json.dumps({"id": evil}), content_type="application/json", headers={"X-Evil": evil})
    row = SourceRequest.objects.get()
    for address in (
        page("integrations_source_change", source),
        page("deliveries_sourcerequest_live", source),
        reverse("admin:deliveries_sourcerequest_change", args=[row.pk]),
    ):
        shown = admin.get(address).text
        assert evil not in shown
        assert "<b>Till" not in shown
