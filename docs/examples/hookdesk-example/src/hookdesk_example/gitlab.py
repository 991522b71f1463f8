"""A kind of source: GitLab's webhooks (https://docs.gitlab.com/user/project/integrations/webhooks/)."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from config.extension.v1 import (
    Incoming,
    Item,
    Reading,
    SourceKind,
    Unreadable,
    check_token,
    json_object,
    object_at,
    text_at,
    topic_of,
)

HOOKDESK_INTERFACE = 1


class GitlabSource(SourceKind):
    label = "GitLab"
    description = "Webhooks of projects and groups on GitLab."
    icon = '<path d="M12 20 3 12l3-8 3 6h6l3-6 3 8z"/>'
    setup = "In the project, go to Settings → Webhooks. Enter this address as URL, and the secret as secret token."
    defaults = {"topic": "body.object_kind and its action: issue.open", "dedupe": 'headers."x-gitlab-event-uuid"'}

    def verify(self, request: Incoming, secrets: Sequence[str], now: datetime) -> None:
        # Compares in constant time, with all secrets of a rotation.
        check_token([request.header("x-gitlab-token")], secrets, "X-Gitlab-Token")

    def read(self, request: Incoming) -> Reading:
        body = json_object(request)
        kind = text_at(body, "object_kind")
        if not kind:
            raise Unreadable("object_kind is missing.", "object_kind")
        subject = object_at(body, "object_attributes") or {}
        item = Item(
            body=body,
            data=body,
            topic=topic_of(kind, text_at(subject, "action")),
            object_type=kind,
            object_id=text_at(subject, "id"),
            record=subject or None,
            dedupe=request.header("x-gitlab-event-uuid") or None,
        )
        return Reading([item])

    def sample(self, secret: str, url: str, options: Mapping[str, Any], now: datetime, key: str) -> Incoming:
        body = {"object_kind": "issue", "object_attributes": {"id": 301, "title": "New API", "action": "open"}}
        headers = {"content-type": "application/json", "x-gitlab-token": secret, "x-gitlab-event-uuid": key}
        return Incoming("POST", url, headers, {}, json.dumps(body).encode(), options)
