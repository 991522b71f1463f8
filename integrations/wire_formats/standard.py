"""Standard Webhooks (https://www.standardwebhooks.com), the default format (docs/contract.md#standard)."""

from __future__ import annotations

from functools import lru_cache

from integrations.foundation.languages import gettext_noop as _
from integrations.foundation.strict_json import compact_json
from integrations.security import signing
from integrations.transport.base import Request, Response
from integrations.wire_formats.base import Message, Outcome, PayloadError, WireFormat
from integrations.wire_formats.post import JSON_HEADERS, event_name, iso, post, utf_8
from integrations.wire_formats.responses import read_status

#: The receiver refuses the payload itself, so a retry cannot succeed.
REFUSING_STATUSES = frozenset({400, 410, 413, 422})


class StandardFormat(WireFormat):
    name = "standard"
    label = "Standard Webhooks"
    description = _("Signed JSON as the Standard Webhooks specification has it; any of its libraries verifies it.")
    icon = '<path d="M4 6h16v12H4zM8 10h8M8 14h5"/>'
    default_permanent_statuses = REFUSING_STATUSES
    signature_style = "standard"
    own_headers = ("webhook-",)

    def build(self, message: Message) -> Request:
        body = utf_8(
            f'{{"type":{_quoted(event_name(message))},"timestamp":"{iso(message.occurred_at)}",'
            f'"data":{message.payload_json}}}'
        )
        message_id = f"msg_{message.request_id}"
        timestamp = int(message.now.timestamp())
        headers = (*JSON_HEADERS, ("webhook-id", message_id), ("webhook-timestamp", str(timestamp)))
        if message.endpoint.secrets:
            try:
                signature = signing.standard_signature(message.endpoint.secrets, message_id, timestamp, body)
            except ValueError as error:
                raise PayloadError("configuration", f"{error} Rotate the integration's secret.") from error
            headers = (*headers, ("webhook-signature", signature))
        return post(message, body, headers)

    def read(self, message: Message, response: Response) -> Outcome:
        return read_status(message, response, effect_of_410="disable_integration")


@lru_cache(maxsize=4096)
def _quoted(text: str) -> str:
    return compact_json(text)
