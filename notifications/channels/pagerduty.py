"""PagerDuty: Events API v2. An incident is triggered, acknowledged and resolved by its key.

https://developer.pagerduty.com/docs/events-api-v2-overview
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.connectors.base import base_url
from integrations.foundation.texts import shortened
from notifications.channels.base import Field, OutgoingMessage, Provider
from notifications.texts import Incident

VENDOR_URL = "https://events.pagerduty.com"
_ACTIONS = {"opened": "trigger", "acknowledged": "acknowledge", "resolved": "resolve"}
_SUMMARY_LIMIT = 1_024
_SEVERITIES = {"error": "error", "warning": "warning"}


class PagerDuty(Provider):
    name = "pagerduty"
    label = "PagerDuty"
    description = gettext_lazy(
        "An incident per case: triggered when it opens, acknowledged when it is assigned, resolved with it."
    )
    icon = '<path d="M7 20v-5M7 4h6a4 4 0 0 1 0 8H7z"/>'
    fields = (
        Field(
            "routing_key",
            gettext_lazy("Integration key"),
            gettext_lazy("Of the service’s integration “Events API v2”; 32 characters."),
            True,
            True,
        ),
    )
    follows = frozenset({"acknowledged", "resolved"})
    gathers = False

    def send(self, message: OutgoingMessage) -> str:
        if not message.incidents:
            # A test pages and is over at once.
            key = f"hookdesk-test-{self.channel.pk}"
            payload = {"summary": shortened(message.text, _SUMMARY_LIMIT), "source": "Hookdesk", "severity": "info"}
            self._event({"event_action": "trigger", "dedup_key": key, "client": "Hookdesk", "payload": payload})
            self._event({"event_action": "resolve", "dedup_key": key})
        for incident in message.incidents:
            event = {"event_action": _ACTIONS[message.event], "dedup_key": incident.key}
            self._event(event | (_details(incident) if message.event == "opened" else {}))
        return ""

    def _event(self, event: dict[str, Any]) -> None:
        key = self.option("routing_key")
        url = f"{base_url('PAGERDUTY_BASE_URL', VENDOR_URL)}/v2/enqueue"
        self.call("POST", url, {"routing_key": key, **event}, secrets=(key,))


def _details(incident: Incident) -> dict[str, Any]:
    payload = {
        "summary": shortened(f"{incident.place}: {incident.summary}", _SUMMARY_LIMIT),
        "source": incident.integration or incident.store,
        "severity": _SEVERITIES.get(incident.level, "info"),
        "component": incident.integration,
        "group": incident.store,
        "custom_details": {"failures": incident.occurrences, "store": incident.store, "case": incident.case},
    }
    if incident.since:
        payload["timestamp"] = incident.since
    return {
        "client": "Hookdesk",
        "client_url": incident.link,
        "links": [{"href": incident.link, "text": _("Open in Hookdesk")}],
        "payload": payload,
    }
