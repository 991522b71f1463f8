"""GitHub's webhooks: the event's name in a header, `X-Hub-Signature-256` over the body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from integrations.foundation.languages import gettext_noop as _
from integrations.foundation.strict_json import DocumentError, compact_json, parse_document
from integrations.security.signing import hub_sha256
from integrations.sources.base import Incoming, Item, Reading, SourceKind, Unreadable
from integrations.sources.bodies import FORM, form_fields, json_object, object_at, text_at, topic_of
from integrations.sources.proofs import check_signature


class GithubSource(SourceKind):
    name = "github"
    label = "GitHub"
    description = _("Webhooks of repositories, organisations and apps on GitHub, and of Gitea and Forgejo.")
    icon = '<circle cx="6" cy="6" r="2"/><circle cx="6" cy="18" r="2"/><path d="M6 8v8M18 6c0 6-8 5-11 10"/>'
    setup = _(
        "In the repository, go to Settings → Webhooks → Add webhook. Enter this address as Payload URL, choose "
        "application/json, and enter the secret."
    )
    defaults = {
        "topic": _("X-GitHub-Event and body.action: issues.opened"),
        "object_id": _("the id of that object"),
        "dedupe": 'headers."x-github-delivery"',
    }

    def verify(self, request: Incoming, secrets: Sequence[str], now: datetime) -> None:
        given = [request.header("x-hub-signature-256")]
        check_signature(given, secrets, lambda key: hub_sha256(key, request.body), "X-Hub-Signature-256")

    def read(self, request: Incoming) -> Reading:
        event = request.header("x-github-event")
        if not event:
            raise Unreadable("The header X-GitHub-Event is missing.", "X-GitHub-Event")
        body = _body(request)
        if event == "ping":
            return Reading(why="A ping: the vendor tests the address.")
        kind = event.removesuffix("s") if object_at(body, event) is None else event
        subject = object_at(body, kind) or {}
        item = Item(
            body=body,
            data=body,
            topic=topic_of(event, text_at(body, "action")),
            object_type=kind,
            object_id=text_at(subject, "id"),
            record=subject or None,
            dedupe=request.header("x-github-delivery") or None,
        )
        return Reading([item])

    def sample(self, secret: str, url: str, options: Mapping[str, Any], now: datetime, key: str) -> Incoming:
        issue = {"id": 73464126, "number": 2, "title": "Spelling error in the README file", "state": "open"}
        repository = {"id": 35129377, "full_name": "Codertocat/Hello-World"}
        body = compact_json({"action": "opened", "issue": issue, "repository": repository}).encode()
        headers = {
            "content-type": "application/json",
            "x-github-event": "issues",
            "x-github-delivery": key,
            "x-hub-signature-256": hub_sha256(secret, body),
        }
        return Incoming("POST", url, headers, {}, body, options)


def _body(request: Incoming) -> dict[str, Any]:
    """JSON, as it is or in the field `payload` of a form: the webhook's content type says which."""
    if request.media_type != FORM:
        return json_object(request)
    payload = form_fields(request.body).get("payload")
    if not isinstance(payload, str):
        raise Unreadable("The form has no field payload.", "payload")
    try:
        found = parse_document(payload.encode())
    except DocumentError as error:
        raise Unreadable(error.message.replace("The body", "The payload"), error.field) from None
    if not isinstance(found, dict):
        raise Unreadable("The payload must be a JSON object.", "payload")
    return found
