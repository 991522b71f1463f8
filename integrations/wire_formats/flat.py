"""The event's data as one JSON object without an envelope, as chatbot platforms expect (docs/contract.md#flat)."""

from __future__ import annotations

from integrations.foundation.languages import gettext_noop as _
from integrations.transport.base import Request, Response
from integrations.wire_formats.base import Message, Outcome, WireFormat
from integrations.wire_formats.post import JSON_HEADERS, payload_object, post, utf_8
from integrations.wire_formats.responses import read_status
from integrations.wire_formats.standard import REFUSING_STATUSES


class FlatFormat(WireFormat):
    name = "flat"
    label = _("Flat JSON")
    description = _("Only the event's data, as one JSON object without an envelope, as chatbot platforms send it.")
    icon = '<path d="M8 4c-3 0-3 2-3 4s0 4-2 4c2 0 2 2 2 4s0 4 3 4M16 4c3 0 3 2 3 4s0 4 2 4c-2 0-2 2-2 4s0 4-3 4"/>'
    default_permanent_statuses = REFUSING_STATUSES

    def build(self, message: Message) -> Request:
        if not message.payload_json.startswith("{"):
            payload_object(message)  # raises the error; leading white space is valid
        return post(message, utf_8(message.payload_json), JSON_HEADERS)

    def read(self, message: Message, response: Response) -> Outcome:
        return read_status(message, response)
