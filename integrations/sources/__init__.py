"""The kinds of source by name. A new one is a module here and a line in `SOURCE_KINDS`."""

from integrations.sources.base import SourceKind
from integrations.sources.cloudevents import CloudEventsSource
from integrations.sources.flat import FlatSource
from integrations.sources.generic import GenericSource
from integrations.sources.github import GithubSource
from integrations.sources.hub import HubSource
from integrations.sources.mailchimp import MailchimpSource
from integrations.sources.notification import NotificationSource
from integrations.sources.shopify import ShopifySource
from integrations.sources.slack import SlackSource
from integrations.sources.standard import StandardSource
from integrations.sources.stripe import StripeSource
from integrations.sources.turn import TurnSource
from integrations.sources.twilio import TwilioSource
from integrations.sources.xml import XmlSource

__all__ = ["SOURCE_KINDS", "get_source_kind"]

#: In the order in which the admin offers them.
SOURCE_KINDS: dict[str, SourceKind] = {
    kind.name: kind
    for kind in (
        StandardSource(),
        CloudEventsSource(),
        GenericSource(),
        StripeSource(),
        GithubSource(),
        ShopifySource(),
        SlackSource(),
        TwilioSource(),
        MailchimpSource(),
        NotificationSource(),
        TurnSource(),
        XmlSource(),
        FlatSource(),
        HubSource(),
    )
}


def get_source_kind(name: str) -> SourceKind:
    """Raise LookupError for a name that no kind has."""
    try:
        return SOURCE_KINDS[name]
    except KeyError:
        raise LookupError(f"Unknown kind of source {name!r}; available: {', '.join(SOURCE_KINDS)}.") from None
