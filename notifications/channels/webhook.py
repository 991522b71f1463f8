"""A webhook of any receiver, signed as Standard Webhooks (https://www.standardwebhooks.com) has it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.utils import timezone
from django.utils.translation import gettext_lazy

from integrations.security.signing import check_secret, standard_signature
from notifications.channels.base import ChannelError, Field, OutgoingMessage, Provider
from notifications.texts import Incident


class Webhook(Provider):
    name = "webhook"
    label = "Webhook"
    description = gettext_lazy(
        "Signed JSON to a URL of yours, by Standard Webhooks: when a case opens, is assigned and is resolved."
    )
    icon = '<path d="M9 8a3 3 0 1 1 5 2l3 5M7 17h8M10 11l-3 6"/>'
    fields = (
        Field("url", "URL", gettext_lazy("Where the messages are posted.")),
        Field(
            "secret",
            gettext_lazy("Signing secret"),
            gettext_lazy("whsec_…; the receiver verifies messages with it."),
            True,
            True,
        ),
    )
    follows = frozenset({"acknowledged", "resolved"})
    gathers = False

    @classmethod
    def check(cls, options: Mapping[str, str]) -> dict[str, str]:
        wrong = super().check(options)
        if options.get("secret"):
            try:
                check_secret("standard", options["secret"])
            except ValueError as error:
                wrong["secret"] = str(error)
        return wrong

    @classmethod
    def target(cls, options: Mapping[str, str]) -> str:
        return urlsplit(options.get("url", "")).hostname or str(cls.label)

    def send(self, message: OutgoingMessage) -> str:
        now = message.now or timezone.now()
        incidents = [_shown(incident) for incident in message.incidents]
        if not incidents:
            self._post("hookdesk.channel.test", {"text": message.text}, message.id, now)
        for incident in incidents:
            what = "case" if incident["case"] else "notification"
            self._post(f"hookdesk.{what}.{message.event}", incident, message.id, now)
        return ""

    def _post(self, kind: str, data: dict[str, Any], message_id: str, now: Any) -> None:
        url, secret = self.option("url"), self.option("secret")
        content = {"type": kind, "timestamp": now.isoformat().replace("+00:00", "Z"), "data": data}
        body = json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
        stamp = int(now.timestamp())
        headers = [("webhook-id", message_id), ("webhook-timestamp", str(stamp))]
        if secret:
            try:
                headers.append(("webhook-signature", standard_signature([secret], message_id, stamp, body)))
            except ValueError as error:
                raise ChannelError(f"The signing secret cannot be used. {error}", permanent=True) from error
        self.call("POST", url, body, headers=tuple(headers), secrets=(secret,) if secret else ())


def _shown(incident: Incident) -> dict[str, Any]:
    return {
        "key": incident.key,
        "case": incident.case or None,
        "level": incident.level,
        "store": incident.store,
        "integration": incident.integration or None,
        "summary": incident.summary,
        "occurrences": incident.occurrences,
        "since": incident.since or None,
        "by": incident.by or None,
        "link": incident.link,
    }
