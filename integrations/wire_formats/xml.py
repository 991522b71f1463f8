"""XML as written by Rails 2 (`to_xml`), in the form of Spiffy Stores' sample (docs/contract.md#xml)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from integrations.foundation.languages import gettext_noop as _
from integrations.object_types import singular
from integrations.transport.base import Headers, Request, Response
from integrations.wire_formats.auth import check_header_value
from integrations.wire_formats.base import USER_AGENT, Message, Outcome, PayloadError, WireFormat
from integrations.wire_formats.post import payload_object, post, utf_8
from integrations.wire_formats.responses import SUCCESS, failure

XML_HEADERS: Headers = (("Content-Type", "application/xml"), ("User-Agent", USER_AGENT), ("Accept", "*/*"))
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
INDENT = "  "

#: Letters allowed in names by both the 4th and the 5th edition of XML 1.0; a colon would denote a namespace.
_LETTERS = "A-Za-z_À-ÖØ-öø-ıΣ-ώЁ-Ќа-яА-Яぁ-ゔァ-ヺ一-龥가-힣"
_NOT_IN_NAMES = re.compile(f"[^{_LETTERS}0-9.-]")
_NAME_START = re.compile(f"[{_LETTERS}]")
#: Characters that are not allowed in XML 1.0, not even escaped.
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_TEXT_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?"
)


class XmlFormat(WireFormat):
    name = "xml"
    label = _("Rails XML")
    description = _("The object as XML with Rails' type attributes, as Spiffy Stores posts orders; 200–399 is success.")
    icon = '<path d="m8 7-5 5 5 5M16 7l5 5-5 5M14 5l-4 14"/>'
    form_fields = ("url", "additional_data", "auth_type", "auth_header", "token")
    own_headers = ("x-spiffy-stores-",)
    default_retry_policy = "patient"

    def build(self, message: Message) -> Request:
        endpoint = message.endpoint
        headers: Headers = (*XML_HEADERS, ("X-Spiffy-Stores-Id", endpoint.store_id))
        if endpoint.additional_data:
            headers = (*headers, ("X-Spiffy-Stores-Data", endpoint.additional_data))
        try:
            for name, value in headers:
                check_header_value(name, value)
        except ValueError as error:
            raise PayloadError("configuration", f"{error} Correct the integration's additional data.") from error
        root = "ping" if message.is_ping else message.object_type
        return post(message, utf_8(to_xml(root, _exact_payload(message))), headers)

    def read(self, message: Message, response: Response) -> Outcome:
        return SUCCESS if 200 <= response.status < 400 else failure(message, response)


def to_xml(root: str, value: dict[str, Any]) -> str:
    """Return the document for one object; `root` is its singular type. Raises PayloadError for illegal characters."""
    return DECLARATION + "\n".join(_element(root, value, "", root)) + "\n"


def _exact_payload(message: Message) -> dict[str, Any]:
    """Return the payload with fractions as Decimal, so that they keep all digits."""
    payload_object(message)  # raises the error if it is not an object
    exact: dict[str, Any] = json.loads(message.payload_json, parse_float=_decimal)
    return exact


def _decimal(text: str) -> Decimal | float:
    number = Decimal(text)
    # An exponent such as 1e-999999999 would print a gigabyte of zeros; as a float it becomes 0.0.
    return number if abs(number.adjusted()) < 400 else float(text)


def _element(key: str, value: Any, indent: str, path: str) -> Iterator[str]:
    """Yield the lines of one element. `path` is for error messages only."""
    name = element_name(key)
    if isinstance(value, dict):
        if not value:
            yield f"{indent}<{name}></{name}>"
            return
        yield f"{indent}<{name}>"
        for child, item in value.items():
            yield from _element(child, item, indent + INDENT, f"{path}.{child}")
        yield f"{indent}</{name}>"
    elif isinstance(value, list):
        if not value:
            yield f'{indent}<{name} type="array"></{name}>'
            return
        yield f'{indent}<{name} type="array">'
        for position, item in enumerate(value):
            yield from _element(singular(key), item, indent + INDENT, f"{path}[{position}]")
        yield f"{indent}</{name}>"
    elif value is None:
        # JSON's null has no type. Rails names date-times `…_at`, and the sample declares their type.
        attribute = ' type="datetime"' if name.endswith("-at") else ""
        yield f'{indent}<{name}{attribute} nil="true"/>'
    else:
        xml_type, text = _typed_text(key, value, path)
        attribute = f' type="{xml_type}"' if xml_type else ""
        yield f"{indent}<{name}{attribute}>{text}</{name}>"


def _typed_text(key: str, value: Any, path: str) -> tuple[str, str]:
    if isinstance(value, bool):
        return "boolean", "true" if value else "false"
    if isinstance(value, int):
        return "integer", str(value)
    if isinstance(value, Decimal | float):
        return ("float" if _is_weight(key) else "decimal"), _plain_number(value, path)
    if _ILLEGAL.search(value):
        raise PayloadError("payload", f"The text at {path} contains a control character, which XML does not allow.")
    return ("datetime" if _is_date_time(value) else ""), value.translate(_TEXT_ESCAPES)


def _plain_number(value: Decimal | float, path: str) -> str:
    """Return at least one digit after the point and never an exponent: `100.0`, not `1E+2`."""
    number = value if isinstance(value, Decimal) else Decimal(repr(value))
    if not number.is_finite():
        raise PayloadError("payload", f"The number at {path} is not finite, so XML's decimal type cannot express it.")
    whole, _, fraction = f"{number:f}".partition(".")
    return f"{whole}.{fraction.rstrip('0') or '0'}"


def _is_weight(key: str) -> bool:
    plain = key.replace("-", "_")
    return plain == "weight" or plain.endswith("_weight")


def _is_date_time(text: str) -> bool:
    if not _DATE_TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=4096)
def element_name(key: str) -> str:
    """Return the dasherised key: characters invalid in XML names become hyphens, an invalid start gets a `_`."""
    name = _NOT_IN_NAMES.sub("-", key.replace("_", "-"))
    return name if _NAME_START.match(name) else f"_{name}"
