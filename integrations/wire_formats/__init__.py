"""Registry of the wire formats. To add one, write a module here and add a line to `WIRE_FORMATS`."""

from integrations.wire_formats.base import WireFormat
from integrations.wire_formats.flat import FlatFormat
from integrations.wire_formats.hub import HubFormat
from integrations.wire_formats.notification import NotificationFormat
from integrations.wire_formats.standard import StandardFormat
from integrations.wire_formats.turn import TurnFormat
from integrations.wire_formats.xml import XmlFormat

__all__ = ["WIRE_FORMATS", "get_wire_format"]

#: In the order in which the admin offers them.
WIRE_FORMATS: dict[str, WireFormat] = {
    wire_format.name: wire_format
    for wire_format in (
        StandardFormat(),
        HubFormat(),
        NotificationFormat(),
        FlatFormat(),
        XmlFormat(),
        TurnFormat(),
    )
}


def get_wire_format(name: str) -> WireFormat:
    """Return the wire format called `name`; raises LookupError if there is none."""
    try:
        return WIRE_FORMATS[name]
    except KeyError:
        raise LookupError(f"Unknown wire format {name!r}; available: {', '.join(WIRE_FORMATS)}.") from None
