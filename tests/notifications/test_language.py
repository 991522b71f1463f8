"""Messages, notices and notifications are in the installation's language; the API and what programs read in English."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from django.core import mail
from django.test import Client
from django.utils import translation

from deliveries.hooks import DeliveryChange
from deliveries.models import FailureGroup, Replay
from deliveries.replay.canary import FailedAgain, Results
from deliveries.replay.stopping import stop_replay
from notifications import personal
from notifications.channels import CHANNEL_KINDS, ChannelError, OutgoingMessage, Provider
from notifications.channels import base as channel_base
from notifications.models import WITH_OTHERS, Channel, ChannelMessage, Notification, PersonalNotice
from notifications.outbox import send_test, send_waiting
from notifications.services import on_settled
from tests.api_client import ApiClient
from tests.factories import DeliveryFactory, FailureGroupFactory, SubscriptionFactory, UserFactory
from tests.receiver import Receiver, answer

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
GERMAN = {
    "error": "Fehler",
    "[Hookdesk] %(level)s: %(place)s": "[Hookdesk] %(level)s bei %(place)s",
    "%(number)s so far. Resolve: %(link)s": "Bisher %(number)s. Lösen: %(link)s",
    "Open in Hookdesk": "In Hookdesk öffnen",
    "Your case %(case)s is failing": "Dein Fall %(case)s schlägt fehl",
    "%(address)r is not an e-mail address.": "%(address)r ist keine E-Mail-Adresse.",
    "Sent in one message with others.": "Mit anderen in einer Nachricht gesendet.",
    "%(failed)s of %(settled)s failed again (%(share)s %%; at most %(allowed)s %% may)": (
        "%(failed)s von %(settled)s schlugen wieder fehl (%(share)s %%; höchstens %(allowed)s %% dürfen)"
    ),
    "A bulk resend stopped by itself: %(why)s. %(left)s of %(total)s delivery has not been resent.": (
        "Ein erneutes Senden hielt an: %(why)s. %(left)s von %(total)s fehlen."
    ),
}


@pytest.fixture(autouse=True)
def german(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installation in German, with a catalogue of its own. Whoever calls has English active, as workers have."""
    monkeypatch.setattr("django_q.tasks.async_task", lambda name, *_: None)
    catalog = Catalog(locale="de", charset="utf-8")
    for text, translated in GERMAN.items():
        if text.endswith("has not been resent."):
            plural = text.replace("delivery has", "deliveries have")
            catalog.add((text, plural), (translated, translated))
        else:
            catalog.add(text, translated, context="status" if text == "error" else None)
    folder = tmp_path / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    with (folder / "django.mo").open("wb") as file:
        write_mo(file, catalog)
    settings.LOCALE_PATHS = [str(tmp_path)]
    settings.DESK_LANGUAGE = "de"
    with translation.override("en"):
        yield


def fail() -> FailureGroup:
    group: FailureGroup = FailureGroupFactory()
    delivery = DeliveryFactory(
        subscription=SubscriptionFactory(integration=group.integration), status="failed", failure_group=group
    )
    change = DeliveryChange(delivery.id, delivery.store_id, delivery.integration_id, "failed", "no", group.pk, "no")
    on_settled([change], NOW)
    return group


def test_an_e_mail_is_in_the_language_of_the_staff_and_kept_as_sent() -> None:
    Channel.objects.create(name="mail", kind="email", recipients=["ops@example.com"])
    group = fail()
    send_waiting(NOW)
    [message] = mail.outbox
    assert message.subject == f"[Hookdesk] Fehler bei {group.store.name} → {group.integration.name}"
    assert "FEHLER  " in message.body
    assert "Bisher " in message.body
    assert ChannelMessage.objects.get().text == message.body
    assert translation.get_language() == "en"


def test_a_chat_message_is_and_what_a_webhook_posts_for_programs_is_not(settings: Any) -> None:
    with Receiver() as receiver:
        receiver.script(answer(202, b""))
        for kind in ("teams", "webhook"):
            options = {"url": receiver.url(f"/{kind}"), "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
            Channel.objects.create(name=kind, kind=kind, recipients=[kind], options=options)
        fail()
        send_waiting(NOW)
        bodies = {request.target: json.loads(request.body) for request in receiver.requests}
    assert bodies["/teams"]["attachments"][0]["content"]["actions"][0]["title"] == "In Hookdesk öffnen"
    assert bodies["/webhook"]["type"] == "hookdesk.case.opened"
    assert bodies["/webhook"]["data"]["level"] == "error"


def test_each_kind_of_channel_is_asked_to_send_in_the_language_of_the_staff(monkeypatch: pytest.MonkeyPatch) -> None:
    spoken: list[str | None] = []

    class Listening(Provider):
        name = label = description = "listening"

        def send(self, message: OutgoingMessage) -> str:
            spoken.append(translation.get_language())
            return ""

    monkeypatch.setitem(CHANNEL_KINDS, "listening", Listening)
    channel = Channel.objects.create(name="x", kind="listening", recipients=["x"])
    fail()
    send_waiting(NOW)
    with translation.override("fr"):  # the page of whoever asks for the test
        send_test(channel=channel, recipient="x", now=NOW)
    assert spoken == ["de", "de"]


def test_errors_of_a_channel_are_kept_in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    spoken: list[str | None] = []

    def send(*_: Any) -> Any:
        spoken.append(translation.get_language())
        raise channel_base.TransportError("timeout", "It took too long.")

    monkeypatch.setattr(channel_base, "send", send)
    channel = Channel.objects.create(name="mail", kind="email", recipients=["ops@example.com"])
    with translation.override("de"), pytest.raises(ChannelError):
        send_test(channel=channel, recipient="ops@example.com", now=NOW)
    assert spoken == ["en"]
    with translation.override("de"), pytest.raises(ChannelError, match="is not an e-mail address"):
        send_test(channel=channel, recipient="nobody", now=NOW)
    channel.refresh_from_db()
    assert channel.last_error == "'nobody' is not an e-mail address."


def test_a_notice_to_one_person_is_kept_in_the_language_of_the_staff() -> None:
    group = fail()
    FailureGroup.objects.filter(pk=group.pk).update(assignee=UserFactory(email="a@example.com"))
    with translation.override("fr"):
        personal.tell_assignees([group.pk], "returned", NOW)
    assert PersonalNotice.objects.get().text.startswith("Dein Fall ")


def test_what_a_replay_says_of_itself_is_kept_in_english_and_told_in_the_language_of_the_staff() -> None:
    delivery = DeliveryFactory()
    replay = Replay.objects.create(
        store=delivery.store, action="retry", created_by_name="ada", total=40, done=10, stop_above=10
    )
    stop_replay(replay, FailedAgain(Results(sent=10, settled=10, failed=5), 10), NOW)
    replay.refresh_from_db()
    assert replay.stopped_because == "5 of 10 failed again (50 %; at most 10 % may)"
    told = (
        "Ein erneutes Senden hielt an: 5 von 10 schlugen wieder fehl (50 %; höchstens 10 % dürfen). 30 von 40 fehlen."
    )
    assert Notification.objects.get().summary == told


def test_the_api_refuses_in_english() -> None:
    body = {"name": "x", "kind": "email", "options": {"recipients": ["nobody"]}}
    refused = ApiClient().post("channels", body)
    assert "is not an e-mail address" in json.dumps(refused.json())


def test_a_page_shows_a_message_as_it_was_sent_and_our_own_words_in_the_language_of_the_viewer() -> None:
    channel = Channel.objects.create(name="mail", kind="email", recipients=["ops@example.com"])
    for text in ("as it was sent", WITH_OTHERS):
        ChannelMessage.objects.create(
            channel=channel, recipient="x", text=text, status="sent", send_after=NOW, window=0, created_at=NOW
        )
    client = Client(headers={"Accept-Language": "de"})
    client.force_login(UserFactory(is_superuser=True))
    page = client.get(f"/admin/notifications/channel/{channel.pk}/change/").content.decode()
    assert "as it was sent" in page
    assert "Mit anderen in einer Nachricht gesendet." in page
