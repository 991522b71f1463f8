"""The second approver is a second person: nobody who stands behind the token that made an edit may approve it."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.utils import timezone

from deliveries.models import Delivery, Revision
from deliveries.replay import start_replay, step
from deliveries.resolution import (
    ResolutionError,
    approve_revision,
    discard_delivery,
    edit_delivery,
    edit_similar,
    retry_delivery,
    wait_for_source,
)
from integrations.foundation.audit import Actor
from integrations.models import AccessToken, Store
from integrations.security.tokens import authenticate
from integrations.services import issue_token, withdraw_token
from tests.api_client import ApiClient
from tests.factories import DeliveryFactory, EventFactory, StoreFactory, SubscriptionFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def store() -> Store:
    made: Store = StoreFactory(is_approval_required=True)
    return made


@pytest.fixture
def ada() -> Any:
    return UserFactory(username="ada")


@pytest.fixture
def bob() -> Any:
    return UserFactory(username="bob")


def failed(store: Store) -> Delivery:
    event = EventFactory(store=store, data={"id": "7", "phone": "0"}, object_id="7")
    delivery: Delivery = DeliveryFactory(
        subscription=SubscriptionFactory(integration__store=store), event=event, status="failed"
    )
    return delivery


def client_with(store: Store, token: AccessToken, text: str) -> ApiClient:
    client = ApiClient(store)
    client.token = token
    token.headers = {"X-Hub-Store": str(store.pk), "X-Hub-Access-Token": text}
    return client


def issued_by(user: Any, store: Store) -> ApiClient:
    return client_with(store, *issue_token(store=store, actor=Actor.of_user(user), name="shop", scopes=["manage"]))


def edited_with(client: ApiClient, delivery: Delivery, phone: str = "+1") -> Revision:
    body = {"action": "edit", "payload": {"id": "7", "phone": phone}, "reason": "wrong"}
    response = client.post(f"deliveries/{delivery.public_id}/resolve", body)
    assert response.status_code == 200, response.json()
    revision = Revision.objects.order_by("-number").get(delivery=delivery, is_awaiting_approval=True)
    assert revision.author_id is None
    return revision


def refused(revision: Revision, user: Any) -> str:
    with pytest.raises(ResolutionError) as caught:
        approve_revision(revision=revision, actor=Actor.of_user(user))
    revision.refresh_from_db()
    assert revision.is_awaiting_approval
    assert caught.value.code == "not_allowed"
    return caught.value.message


def test_who_issued_the_token_cannot_approve_what_it_edited(store: Store, ada: Any, bob: Any) -> None:
    delivery = failed(store)
    revision = edited_with(issued_by(ada, store), delivery)
    assert "token" in refused(revision, ada)
    approve_revision(revision=revision, actor=Actor.of_user(bob))
    delivery.refresh_from_db()
    assert delivery.revision == 1


def test_tokens_that_a_token_made_have_the_same_people_behind_them(store: Store, ada: Any, bob: Any) -> None:
    client = issued_by(ada, store)
    for name in ("child", "grandchild"):
        made = client.post("tokens", {"name": name, "scopes": ["manage"]}).json()
        client = client_with(store, AccessToken.objects.get(id=made["id"]), made["token"])
    revision = edited_with(client, failed(store))
    refused(revision, ada)
    approve_revision(revision=revision, actor=Actor.of_user(bob))


def test_a_token_that_is_gone_still_has_its_people(store: Store, ada: Any, bob: Any) -> None:
    """Revoked, or even its row deleted."""
    client = issued_by(ada, store)
    first, second = failed(store), failed(store)
    revisions = [edited_with(client, first), edited_with(client, second)]
    withdraw_token(token=client.token, actor=Actor.of_user(bob))
    refused(revisions[0], ada)
    AccessToken.objects.filter(pk=client.token.pk).delete()
    for revision in revisions:
        refused(revision, ada)
        approve_revision(revision=revision, actor=Actor.of_user(bob))


def test_a_token_of_the_command_line_has_nobody_behind_it(store: Store, ada: Any) -> None:
    token, text = issue_token(store=store, actor=Actor(None, "manage.py createstore"), name="first", scopes=["manage"])
    approve_revision(revision=edited_with(client_with(store, token, text), failed(store)), actor=Actor.of_user(ada))


def test_a_token_whose_issuer_is_not_known_may_be_of_any_who_can_issue_tokens(store: Store, ada: Any) -> None:
    client = ApiClient(store, scopes=("manage",))
    AccessToken.objects.filter(pk=client.token.pk).update(is_issuer_known=None)
    revision = edited_with(client, failed(store))
    assert "unknown" in refused(revision, ada)
    made = client.post("tokens", {"name": "child", "scopes": ["manage"]}).json()
    assert AccessToken.objects.get(id=made["id"]).is_issuer_known is False
    checker = UserFactory(is_superuser=False)
    approve_revision(revision=revision, actor=Actor.of_user(checker))


def test_alike_edits_of_a_token_carry_its_people_too(store: Store, ada: Any) -> None:
    client = issued_by(ada, store)
    principal = authenticate(store_id=store.pk, token=client.token.headers["X-Hub-Access-Token"])
    assert principal is not None
    delivery = failed(store)
    report = edit_similar(
        delivery=delivery, payload={"id": "7", "phone": "+2"}, deliveries=[], actor=Actor.of_principal(principal)
    )
    refused(report.revision, ada)


def test_the_author_cannot_approve_however_often_others_resend_or_edit(store: Store, ada: Any, bob: Any) -> None:
    delivery = failed(store)
    revision = edit_delivery(delivery=delivery, payload={"id": "7", "phone": "+3"}, actor=Actor.of_user(ada))
    with pytest.raises(ResolutionError, match="awaits approval"):
        retry_delivery(delivery=delivery, actor=Actor.of_user(bob), now=timezone.now())
    refused(revision, ada)


def test_the_migration_recalls_from_the_audit_who_issued_a_token(store: Store, ada: Any) -> None:
    mine = issued_by(ada, store)
    child = AccessToken.objects.get(id=mine.post("tokens", {"name": "child", "scopes": ["manage"]}).json()["id"])
    first, _ = issue_token(store=store, actor=Actor(None, "manage.py createstore"), name="first", scopes=["push"])
    lost = ApiClient(store).token
    waiting = edited_with(client_with(store, mine.token, mine.token.headers["X-Hub-Access-Token"]), failed(store))
    AccessToken.issuers.through.objects.all().delete()
    AccessToken.objects.update(is_issuer_known=None)
    waiting.people.clear()
    for module, name in (("integrations", "0041_recall_issuers"), ("deliveries", "0041_recall_people")):
        migration = import_module(f"{module}.migrations.{name}")
        recall = getattr(migration, f"recall_{name.rpartition('_')[2]}")
        recall(apps, SimpleNamespace(connection=connection))
    for token, is_known, people in (
        (mine.token, True, [ada.pk]),
        (child, True, [ada.pk]),
        (first, True, []),
        (lost, False, []),
    ):
        token.refresh_from_db()
        assert (token.is_issuer_known, [person.pk for person in token.issuers.all()]) == (is_known, people), token.name
    refused(waiting, ada)


def test_what_waits_goes_on_waiting_whatever_happens_to_the_rule(store: Store, ada: Any, bob: Any) -> None:
    delivery = failed(store)
    first = edit_delivery(delivery=delivery, payload={"id": "7", "phone": "+4"}, actor=Actor.of_user(ada))
    for is_on in (False, True, False):
        Store.objects.update(is_approval_required=is_on)
        for attempt in (
            lambda: retry_delivery(delivery=delivery, actor=Actor.of_user(ada)),
            lambda: wait_for_source(delivery=delivery, actor=Actor.of_user(ada)),
            lambda waiting=first: approve_revision(revision=waiting, actor=Actor.of_user(ada)),
        ):
            with pytest.raises(ResolutionError):
                attempt()
        replay = start_replay(filters={"status": "failed"}, action="retry", actor=Actor.of_user(ada))
        while not step(replay.id, timezone.now() + timedelta(seconds=1)).is_over:
            pass
        delivery.refresh_from_db()
        assert (delivery.status, delivery.revision) == ("failed", 0)
        second = edit_delivery(delivery=delivery, payload={"id": "7", "phone": f"+5{is_on}"}, actor=Actor.of_user(ada))
        assert second.is_awaiting_approval
        first = second
    discard_delivery(delivery=delivery, actor=Actor.of_user(ada))
    retry_delivery(delivery=delivery, actor=Actor.of_user(ada))
    delivery.refresh_from_db()
    assert (delivery.status, delivery.revision) == ("pending", 0)
    with pytest.raises(ResolutionError, match="rejected"):
        approve_revision(revision=first, actor=Actor.of_user(bob))
