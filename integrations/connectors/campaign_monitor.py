"""Subscribes buyers who accept marketing to a Campaign Monitor list (API 3.3; docs/contract.md#connectors)."""

from __future__ import annotations

from urllib.parse import quote

from integrations.connectors.base import (
    BUYER_SAMPLE,
    Connector,
    Parameter,
    base_url,
    buyer_email,
    buyer_names,
    refusal,
    required_parameter,
    vendor_request,
)
from integrations.foundation.languages import gettext_noop as _
from integrations.foundation.strict_json import compact_json
from integrations.transport.base import Request, Response
from integrations.wire_formats.auth import basic
from integrations.wire_formats.base import Message, Outcome
from integrations.wire_formats.post import utf_8
from integrations.wire_formats.responses import one_line, parsed_object

VENDOR_URL = "https://api.createsend.com"


class CampaignMonitor(Connector):
    name = "campaign_monitor"
    label = "Campaign Monitor"
    description = _("Adds buyers who accept marketing to a Campaign Monitor list.")
    sample = BUYER_SAMPLE
    parameters: tuple[Parameter, ...] = (
        Parameter("api_key", _("API key"), _("Under Account settings → API keys."), is_secret=True),
        Parameter("list_id", _("List ID"), _("On the list's page under change name/type: API Subscriber List ID.")),
    )

    def __init__(self, vendor_url: str | None = None) -> None:
        self._vendor_url = vendor_url

    def build(self, message: Message) -> Request:
        api_key = required_parameter(message, "api_key")
        authorization = basic(f"{api_key}:x")
        root = (self._vendor_url or base_url("CAMPAIGN_MONITOR_BASE_URL", VENDOR_URL)).rstrip("/") + "/api/v3.3"
        if message.is_ping:
            return vendor_request(message, "GET", f"{root}/systemdate.json", authorization=authorization)
        email = buyer_email(message)
        list_id = required_parameter(message, "list_id")
        url = f"{root}/subscribers/{quote(list_id, safe='')}.json"
        return vendor_request(message, "POST", url, authorization=authorization, body=_subscriber(message, email))

    def read(self, message: Message, response: Response) -> Outcome:
        if 200 <= response.status < 300:
            done = "Campaign Monitor accepts the API key." if message.is_ping else "Subscribed at Campaign Monitor."
            return Outcome(True, summary=done)
        answer = parsed_object(response) or {}
        code, words = answer.get("Code"), answer.get("Message")
        if not isinstance(words, str):
            return refusal(message, response, vendor="Campaign Monitor")
        if isinstance(code, bool) or not isinstance(code, int):
            return refusal(message, response, vendor="Campaign Monitor", words=one_line(words))
        told = one_line(f"{words} (Campaign Monitor error {code})")
        return refusal(message, response, vendor="Campaign Monitor", kind=f"campaign_monitor_{code}", words=told)


def _subscriber(message: Message, email: str) -> bytes:
    """Build the subscriber. `Resubscribe` is false: people who left the list are not re-subscribed without consent."""
    name = " ".join(part for part in buyer_names(message) if part)
    subscriber = {"EmailAddress": email, "Name": name, "Resubscribe": False, "ConsentToTrack": "Unchanged"}
    return utf_8(compact_json(subscriber))
