"""Registry of the connectors. To add one, write a module here and add a line to `CONNECTORS`."""

from integrations.connectors.base import Connector, base_url
from integrations.connectors.campaign_monitor import CampaignMonitor
from integrations.connectors.email import Email
from integrations.connectors.mailchimp import Mailchimp
from integrations.connectors.twilio_sms import TwilioSms
from integrations.wire_formats import get_wire_format
from integrations.wire_formats.base import Endpoint, WireFormat

__all__ = ["CONNECTORS", "Connector", "adapter_for", "base_url", "get_connector"]

CONNECTORS: dict[str, Connector] = {
    connector.name: connector for connector in (TwilioSms(), Mailchimp(), CampaignMonitor(), Email())
}


def get_connector(name: str) -> Connector:
    """Return the connector called `name`; raises LookupError if there is none."""
    try:
        return CONNECTORS[name]
    except KeyError:
        raise LookupError(f"Unknown connector {name!r}; available: {', '.join(CONNECTORS)}.") from None


def adapter_for(endpoint: Endpoint) -> WireFormat:
    """Return the integration's connector if it has one, else its wire format; raises LookupError for unknown names."""
    return get_connector(endpoint.connector) if endpoint.connector else get_wire_format(endpoint.wire_format)
