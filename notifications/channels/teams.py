"""Microsoft Teams: an Adaptive Card to a webhook of the Workflows app.

https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.foundation.texts import shortened
from notifications.channels.base import Field, OutgoingMessage, Provider, refused
from notifications.texts import facts_of, lines, title

_COLOURS = {"opened": "Attention", "resolved": "Good", "test": "Accent"}
_TEXT_LIMIT = 2_000


class Teams(Provider):
    name = "teams"
    label = "Microsoft Teams"
    description = gettext_lazy("Cards in a channel or chat, and another card when the case is resolved.")
    icon = '<path d="M4 6h10v12H4zM14 9h6v7h-6M7 10h4M9 10v5"/>'
    fields = (
        Field(
            "url",
            gettext_lazy("Webhook URL"),
            gettext_lazy("Of the workflow “Send webhook alerts to a channel” in the Workflows app."),
            True,
            True,
        ),
    )
    follows = frozenset({"resolved"})

    def send(self, message: OutgoingMessage) -> str:
        url = self.option("url")
        attachment = {
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": None,
            "content": _card(message),
        }
        response = self.call("POST", url, {"type": "message", "attachments": [attachment]}, secrets=(url,))
        # Connectors of the older sort answer 200 and say in the body that Teams refused.
        if b"returned HTTP error" in response.body:
            raise refused(str(self.label), response, (url,), permanent=b"429" not in response.body)
        return ""


def _card(message: OutgoingMessage) -> dict[str, Any]:
    heading = title(message.incidents, message.event) if message.incidents else _("Test")
    body: list[dict[str, Any]] = [_text(heading, size="Large", weight="Bolder", color=_COLOURS.get(message.event))]
    link = message.link
    if not message.incidents:
        body.append(_text(message.text))
    elif len(message.incidents) > 1:
        body += [_text(line) for line in lines(message.incidents)]
    else:
        [incident] = message.incidents
        link = incident.link
        facts = facts_of(incident, message.event)
        if incident.since:
            facts[_("Since")] = incident.since
        body.append(_text(shortened(incident.summary or _("No message."), _TEXT_LIMIT)))
        body.append({"type": "FactSet", "facts": [{"title": key, "value": value} for key, value in facts.items()]})
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    if link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": _("Open in Hookdesk"), "url": link}]
    return card


def _text(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "TextBlock", "text": text, "wrap": True, **{key: value for key, value in more.items() if value}}
