"""Spiffy Stores' web hooks: an order in XML, with the store's web hook key in a header."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from integrations.foundation.languages import gettext_noop as _
from integrations.sources.base import Incoming, Item, Reading, SourceKind, Unreadable
from integrations.sources.bodies import text_at
from integrations.sources.proofs import check_token
from integrations.sources.xml_document import from_xml
from integrations.wire_formats.xml import to_xml

#: Spiffy itself writes underscores; other senders, and proxies, hyphens.
KEY_HEADERS = ("x-spiffy-stores-id", "x_spiffy_stores_id")


class XmlSource(SourceKind):
    name = "xml"
    label = "Spiffy Stores"
    description = _("Orders in XML with Rails' type attributes, as Spiffy Stores posts them.")
    icon = '<path d="m8 7-5 5 5 5M16 7l5 5-5 5M14 5l-4 14"/>'
    setup = _(
        "In Spiffy Stores, go to Accounts → Notifications, add a web hook with this address, and enter the Web Hook "
        "Key shown below the list of notifications here as the secret."
    )
    defaults = {"object_type": _("the root element: order"), "object_id": "body.id"}
    key_from = "theirs"
    key_label = "Web Hook Key"
    default_mode = "record"

    def verify(self, request: Incoming, secrets: Sequence[str], now: datetime) -> None:
        check_token([request.header(name) for name in KEY_HEADERS], secrets, "X-Spiffy-Stores-Id")

    def read(self, request: Incoming) -> Reading:
        root, body = from_xml(request.body)
        if not isinstance(body, dict):
            raise Unreadable("The root element has no elements in it.", root)
        item = Item(body, body, f"{root}.received", object_type=root, object_id=text_at(body, "id"))
        return Reading([item])

    def sample(self, secret: str, url: str, options: Mapping[str, Any], now: datetime, key: str) -> Incoming:
        order = {
            "buyer_accepts_marketing": True, "currency": "AUD", "email": "spiffy@mystore.spiffystores.com",
            "financial_status": "paid", "id": key, "name": "#99999", "total_price": 100.0,
            "billing_address": {"first_name": "Spiffy", "last_name": "Customer", "country": "Australia"},
            "line_items": [{"sku": "ITEM001", "price": 25.0, "quantity": 2, "name": "A very wonderful item"}],
        }  # fmt: skip
        headers = {"content-type": "application/xml", KEY_HEADERS[0]: secret}
        return Incoming("POST", url, headers, {}, to_xml("order", order).encode(), options)
