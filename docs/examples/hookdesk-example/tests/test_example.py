"""Pure: no database and no network. Run from Hookdesk's folder."""

from datetime import UTC, datetime

import pytest
from hookdesk_example.form import FormFormat
from hookdesk_example.gitlab import GitlabSource
from hookdesk_example.text import initials

from config.extension.v1 import Endpoint, Message, PayloadError, Rejected, Response

NOW = datetime(2026, 5, 6, tzinfo=UTC)


def message(data_json: str) -> Message:
    endpoint = Endpoint(1, "u", "Shop", "s", "https://shop.example/in")
    return Message(endpoint, "0" * 32, "order.paid", None, "order", data_json, NOW, 1, NOW, NOW)


def test_a_payload_becomes_a_form() -> None:
    request = FormFormat().build(message('{"id": 7, "name": "Zoë & Co", "paid": true, "note": null}'))
    assert request.body == b"id=7&name=Zo%C3%AB+%26+Co&paid=true&note="
    assert dict(request.headers)["Content-Type"] == "application/x-www-form-urlencoded"


def test_what_a_form_cannot_hold_is_said() -> None:
    with pytest.raises(PayloadError, match="items is not a single value"):
        FormFormat().build(message('{"items": [1]}'))


def test_the_status_decides() -> None:
    assert FormFormat().read(message("{}"), Response(204, (), b"")).is_success
    assert not FormFormat().read(message("{}"), Response(500, (), b"")).is_success


def test_gitlab_proves_itself_with_its_token() -> None:
    kind = GitlabSource()
    request = kind.sample("secret", "https://desk.example/in/x", {}, NOW, "uuid-1")
    kind.verify(request, ["new", "secret"], NOW)
    with pytest.raises(Rejected):
        kind.verify(request, ["other"], NOW)
    [item] = kind.read(request).items
    assert (item.topic, item.object_id, item.dedupe) == ("issue.open", "301", "uuid-1")


def test_initials() -> None:
    assert initials("ada lovelace") == "AL"
