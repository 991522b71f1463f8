"""Slack: an incoming webhook, or a bot, whose message is changed in place when the incident is resolved.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks and the methods chat.postMessage, chat.update.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.connectors.base import base_url
from integrations.foundation.texts import shortened
from notifications.channels.base import ChannelError, Field, OutgoingMessage, Provider, json_object
from notifications.texts import Incident, how_many, lines, title

VENDOR_URL = "https://slack.com"
_SECTION_LIMIT = 3_000  #: characters of a section's text
_HEADER_LIMIT = 150
_SIGNS = {"opened": "🔴", "resolved": "✅", "test": "🔔"}
#: Errors of the Web API that time heals.
_PASSING = frozenset({"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable"})


class Slack(Provider):
    name = "slack"
    label = "Slack"
    description = gettext_lazy(
        "Messages in a channel. With a bot token, a message is changed in place when its case is resolved."
    )
    icon = '<path d="M9 4v16M15 4v16M4 9h16M4 15h16"/>'
    fields = (
        Field(
            "url",
            gettext_lazy("Webhook URL"),
            gettext_lazy("Of an incoming webhook. Or leave it empty and use a bot."),
            False,
            True,
        ),
        Field("token", gettext_lazy("Bot token"), gettext_lazy("xoxb-…, with the scope chat:write."), False, True),
        Field(
            "channel",
            gettext_lazy("Channel"),
            gettext_lazy("For the bot: the channel’s id, such as C0123456789."),
            False,
        ),
    )
    follows = frozenset({"resolved"})

    @classmethod
    def check(cls, options: Mapping[str, str]) -> dict[str, str]:
        if options.get("url"):
            return super().check(options)
        if options.get("token"):
            return {} if options.get("channel") else {"channel": _("Channel is required with a bot token.")}
        return {"url": _("Enter a webhook URL, or a bot token and a channel.")}

    @classmethod
    def target(cls, options: Mapping[str, str]) -> str:
        return f"Slack {options['channel']}" if not options.get("url") and options.get("channel") else str(cls.label)

    def send(self, message: OutgoingMessage) -> str:
        content = _content(message)
        if url := self.option("url"):
            self.call("POST", url, content, secrets=(url,))
            return ""
        place, _, stamp = message.reference.partition(":")
        if stamp:
            return self._api("chat.update", {"channel": place, "ts": stamp, **content})
        return self._api("chat.postMessage", {"channel": self.option("channel"), "unfurl_links": False, **content})

    def _api(self, method: str, content: dict[str, Any]) -> str:
        token = self.option("token")
        url = f"{base_url('SLACK_BASE_URL', VENDOR_URL)}/api/{method}"
        headers = (("Authorization", f"Bearer {token}"),)
        response = self.call("POST", url, content, headers=headers, secrets=(token,))
        answer = json_object(response)
        if answer.get("ok") is not True:
            error = str(answer.get("error", "no answer that can be read"))[:100]
            raise ChannelError(f"Slack refused the message: {error}.", permanent=error not in _PASSING, status=200)
        return f"{answer.get('channel', '')}:{answer.get('ts', '')}"


def _content(message: OutgoingMessage) -> dict[str, Any]:
    """`text` is what notifications and screen readers show; the blocks replace it in the channel."""
    if not message.incidents:
        return {"text": _escaped(message.text)}
    heading = f"{_SIGNS.get(message.event, '')} {title(message.incidents, message.event)}".strip()
    parts: list[dict[str, Any]] = [_block("header", "plain_text", shortened(heading, _HEADER_LIMIT), emoji=True)]
    if len(message.incidents) > 1:
        parts.append(_block("section", "plain_text", shortened("\n".join(lines(message.incidents)), _SECTION_LIMIT)))
        link = message.link
    else:
        [incident] = message.incidents
        link = incident.link
        parts.append(_block("section", "plain_text", shortened(incident.summary or _("No message."), _SECTION_LIMIT)))
        facts = ", ".join(_facts(incident, message.event))
        parts.append({"type": "context", "elements": [{"type": "plain_text", "text": facts}]})
    button = {"type": "plain_text", "text": _("Open in Hookdesk")}
    parts.append({"type": "actions", "elements": [{"type": "button", "text": button, "url": link}]})
    return {"text": _escaped(f"{heading} {link}"), "blocks": parts}


def _facts(incident: Incident, event: str) -> Iterator[str]:
    yield how_many(incident)
    if incident.since:
        yield _("since %(time)s") % {"time": incident.since}
    if incident.by:
        words = _("acknowledged by %(name)s") if event == "acknowledged" else _("resolved by %(name)s")
        yield words % {"name": incident.by}


def _block(kind: str, text_type: str, text: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "text": {"type": text_type, "text": text, **more}}


def _escaped(text: str) -> str:
    """Slack reads `<!channel>` and `<url|text>` in a text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
