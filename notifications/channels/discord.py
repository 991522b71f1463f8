"""Discord: a webhook's message with an embed, which is edited when the incident is resolved.

https://discord.com/developers/docs/resources/webhook, "Execute Webhook" and "Edit Webhook Message".
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.foundation.texts import shortened
from notifications.channels.base import Field, OutgoingMessage, Provider, json_object
from notifications.texts import facts_of, lines, title

_COLOURS = {"opened": 0xD92D20, "resolved": 0x079455, "test": 0x475467}
_TITLE_LIMIT, _DESCRIPTION_LIMIT, _VALUE_LIMIT, _CONTENT_LIMIT = 256, 4_096, 1_024, 2_000


class Discord(Provider):
    name = "discord"
    label = "Discord"
    description = gettext_lazy("Messages in a channel, which are edited when the case is resolved.")
    icon = '<path d="M5 7c4-2 10-2 14 0l1 10-4 2-1-2H9l-1 2-4-2zM9 12v1M15 12v1"/>'
    fields = (
        Field(
            "url",
            gettext_lazy("Webhook URL"),
            gettext_lazy("In Discord: channel settings, Integrations, Webhooks, Copy Webhook URL."),
            True,
            True,
        ),
    )
    follows = frozenset({"resolved"})

    def send(self, message: OutgoingMessage) -> str:
        url, content = self.option("url"), _content(message)
        if message.reference:
            self.call("PATCH", _address(url, f"/messages/{message.reference}"), content, secrets=(url,))
            return message.reference
        answer = json_object(self.call("POST", _address(url, wait="true"), content, secrets=(url,)))
        return str(answer.get("id", "")) if str(answer.get("id", "")).isdecimal() else ""


def _address(url: str, path: str = "", **query: str) -> str:
    """`url` may name a thread (`?thread_id=…`), which counts for edits too."""
    parts = urlsplit(url)
    kept = [(key, value) for key, value in parse_qsl(parts.query) if key != "wait"]
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + path, query=urlencode([*kept, *query.items()])))


def _content(message: OutgoingMessage) -> dict[str, Any]:
    # Nobody is mentioned, whatever a receiver's words contain.
    base: dict[str, Any] = {"allowed_mentions": {"parse": []}}
    if not message.incidents:
        return base | {"content": shortened(message.text, _CONTENT_LIMIT)}
    embed: dict[str, Any] = {
        "title": shortened(title(message.incidents, message.event), _TITLE_LIMIT),
        "color": _COLOURS.get(message.event, _COLOURS["test"]),
    }
    if len(message.incidents) > 1:
        text, embed["url"] = "\n".join(lines(message.incidents)), message.link
    else:
        [incident] = message.incidents
        text, embed["url"] = incident.summary or _("No message."), incident.link
        embed["fields"] = [
            {"name": label, "value": shortened(value, _VALUE_LIMIT), "inline": True}
            for label, value in facts_of(incident, message.event).items()
        ]
        if incident.since:
            embed["timestamp"] = incident.since
    return base | {"embeds": [embed | {"description": shortened(text, _DESCRIPTION_LIMIT)}]}
