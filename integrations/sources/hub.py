"""Pushes as Wombat and CenitHub took them, and deliveries as they sent them; the token is the source's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from integrations.foundation.languages import gettext_noop as _
from integrations.foundation.strict_json import compact_json
from integrations.object_types import KEY_PATTERN, singular
from integrations.sources.base import Answer, Incoming, Item, Reading, SourceKind, Taken, Unreadable, json_answer
from integrations.sources.bodies import json_object, text_at
from integrations.sources.proofs import bearer_token, check_token

#: Members of a delivery that are no object.
_ENVELOPE = ("request_id", "parameters", "summary", "last_poll")


class HubSource(SourceKind):
    name = "hub"
    label = _("Hub")
    description = _(
        "Arrays of objects, or one object in an envelope, as Wombat, CenitHub and their integrations post them."
    )
    icon = '<circle cx="12" cy="12" r="3"/><path d="M12 3v6M12 15v6M3 12h6M15 12h6"/>'
    setup = _(
        "Post objects to this address as to the push API. Send the token as X-Hub-Access-Token or X-Hub-Token, as "
        "Authorization: Bearer, or behind the address as ?token=…."
    )
    defaults = {
        "object_type": _("the key of the array"),
        "object_id": "body.id",
        "dedupe": _("body.request_id, if any"),
    }
    key_label = _("Token")
    default_mode = "record"

    def verify(self, request: Incoming, secrets: Sequence[str], now: datetime) -> None:
        check_shared_token(request, secrets)

    def read(self, request: Incoming) -> Reading:
        return Reading(list(_items(json_object(request))))

    def answer(self, request: Incoming, taken: Taken) -> Answer:
        body = json_object(request)
        if "request_id" in body:
            return json_answer(200, {"request_id": body["request_id"], "summary": f"{taken.accepted} stored"})
        counts = {name: len(value) for name, value in body.items() if isinstance(value, list)}
        return json_answer(202, {**counts, "accepted": taken.accepted, "events": list(taken.events)})

    def sample(self, secret: str, url: str, options: Mapping[str, Any], now: datetime, key: str) -> Incoming:
        body = {"shipments": [{"id": key, "order_id": "R1111111111", "status": "ready"}]}
        headers = {"content-type": "application/json", "x-hub-access-token": secret}
        return Incoming("POST", url, headers, {}, compact_json(body).encode(), options)


def check_shared_token(request: Incoming, secrets: Sequence[str]) -> None:
    """Of kinds whose senders can only be told a token."""
    given = [bearer_token(request), request.header("x-hub-access-token"), request.header("x-hub-token")]
    where = "Authorization: Bearer, X-Hub-Access-Token or ?token="
    check_token([*given, request.query.get("token", "")], secrets, where)


def _items(body: dict[str, Any]) -> Iterator[Item]:
    request_id = text_at(body, "request_id")
    objects = {name: value for name, value in body.items() if request_id is None or name not in _ENVELOPE}
    if not objects:
        raise Unreadable('The body holds no object. Send {"shipments": [{"id": "1", …}]}.')
    for name, value in objects.items():
        if not KEY_PATTERN.match(name):
            raise Unreadable("A type must be a word of lower-case letters, digits, _ and -.", name[:100])
        if isinstance(value, dict) and request_id is not None:
            yield _item(value, name, f"{request_id}.{name}")
        elif isinstance(value, list) and all(isinstance(each, dict) for each in value):
            for position, each in enumerate(value):
                yield _item(each, name, None if request_id is None else f"{request_id}.{name}[{position}]")
        else:
            raise Unreadable("Must be an array of objects.", name)


def _item(value: dict[str, Any], name: str, dedupe: str | None) -> Item:
    topic = f"{singular(name)}.received"
    return Item(value, value, topic, object_type=name, object_id=text_at(value, "id"), dedupe=dedupe)
