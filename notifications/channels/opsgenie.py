"""Opsgenie: Alert API. An alert is created, acknowledged and closed by its alias.

https://docs.opsgenie.com/docs/alert-api
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.connectors.base import base_url
from integrations.foundation.texts import shortened
from notifications.channels.base import Field, OutgoingMessage, Provider
from notifications.texts import HEADS, Incident, how_many

VENDOR_URL = "https://api.opsgenie.com"
_ACTIONS = {"acknowledged": "acknowledge", "resolved": "close"}
_PRIORITIES = {"error": "P2", "warning": "P3", "info": "P5"}
_MESSAGE_LIMIT, _DESCRIPTION_LIMIT, _ENTITY_LIMIT, _NOTE_LIMIT = 130, 15_000, 512, 25_000


class Opsgenie(Provider):
    name = "opsgenie"
    label = "Opsgenie"
    description = gettext_lazy(
        "An alert per case: created when it opens, acknowledged when it is assigned, closed when it is resolved."
    )
    icon = '<path d="M12 3a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM5 14c4 2 10 2 14 0-1 4-4 6-7 7-3-1-6-3-7-7z"/>'
    fields = (
        Field(
            "api_key",
            gettext_lazy("API key"),
            gettext_lazy("Of an API integration that may create and update alerts."),
            True,
            True,
        ),
    )
    follows = frozenset({"acknowledged", "resolved"})
    gathers = False

    def send(self, message: OutgoingMessage) -> str:
        if not message.incidents:
            # A test is closed at once.
            alias = f"hookdesk-test-{self.channel.pk}"
            self._post("", {"message": shortened(message.text, _MESSAGE_LIMIT), "alias": alias, "priority": "P5"})
            self._follow(alias, "close", "Hookdesk", _("End of the test."))
        for incident in message.incidents:
            if message.event == "opened":
                self._post("", _alert(incident))
            else:
                action = _ACTIONS[message.event]
                self._follow(incident.key, action, incident.by, f"{HEADS[message.event]}. {incident.link}")
        return ""

    def _follow(self, alias: str, action: str, user: str, note: str) -> None:
        content = {"source": "Hookdesk", "user": user[:100], "note": shortened(note, _NOTE_LIMIT)}
        self._post(f"/{quote(alias, safe='')}/{action}?identifierType=alias", content)

    def _post(self, path: str, content: dict[str, Any]) -> None:
        key = self.option("api_key")
        url = f"{base_url('OPSGENIE_BASE_URL', VENDOR_URL)}/v2/alerts{path}"
        self.call("POST", url, content, headers=(("Authorization", f"GenieKey {key}"),), secrets=(key,))


def _alert(incident: Incident) -> dict[str, Any]:
    return {
        "message": shortened(f"{incident.place}: {incident.summary}", _MESSAGE_LIMIT),
        "alias": incident.key,
        "description": shortened(f"{incident.summary}\n\n{_how_many_and_where(incident)}", _DESCRIPTION_LIMIT),
        "entity": shortened(incident.integration or incident.store, _ENTITY_LIMIT),
        "source": "Hookdesk",
        "priority": _PRIORITIES.get(incident.level, "P3"),
        "tags": ["hookdesk", incident.level],
        "details": {
            "store": incident.store,
            "integration": incident.integration,
            "failures": str(incident.occurrences),
            "case": incident.case,
            "link": incident.link,
        },
    }


def _how_many_and_where(incident: Incident) -> str:
    return _("%(how_many)s. Resolve: %(link)s") % {"how_many": how_many(incident), "link": incident.link}
