"""A wire format: the members of the payload as fields of an HTML form."""

from urllib.parse import urlencode

from config.extension.v1 import (
    USER_AGENT,
    Message,
    Outcome,
    PayloadError,
    Request,
    Response,
    WireFormat,
    payload_object,
    post,
    read_status,
)

HOOKDESK_INTERFACE = 1


class FormFormat(WireFormat):
    label = "HTML form"
    description = "The members of the payload as fields of a form, for receivers that cannot read JSON."
    icon = '<path d="M4 5h16v5H4zM4 14h16v5H4zM7 7.5h3M7 16.5h5"/>'

    def build(self, message: Message) -> Request:
        fields = payload_object(message)
        for name, value in fields.items():
            if isinstance(value, dict | list):
                raise PayloadError(
                    "payload", f"{name} is not a single value. Select what the receiver needs in a transform."
                )
        headers = (("Content-Type", "application/x-www-form-urlencoded"), ("User-Agent", USER_AGENT))
        return post(message, urlencode({name: _text(value) for name, value in fields.items()}).encode(), headers)

    def read(self, message: Message, response: Response) -> Outcome:
        return read_status(message, response)


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
