"""The kinds of channel by name. A new one is a module here and a line in `CHANNEL_KINDS`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from notifications.channels.base import ChannelError, Field, OutgoingMessage, Provider
from notifications.channels.discord import Discord
from notifications.channels.email import Email
from notifications.channels.opsgenie import Opsgenie
from notifications.channels.pagerduty import PagerDuty
from notifications.channels.slack import Slack
from notifications.channels.sms import TwilioSms
from notifications.channels.teams import Teams
from notifications.channels.webhook import Webhook

if TYPE_CHECKING:
    from notifications.models import Channel

__all__ = ["CHANNEL_KINDS", "ChannelError", "Field", "OutgoingMessage", "Provider", "following", "provider_for"]

#: In the order in which the admin offers them.
CHANNEL_KINDS: dict[str, type[Provider]] = {
    kind.name: kind for kind in (Email, TwilioSms, Slack, Teams, Discord, PagerDuty, Opsgenie, Webhook)
}


def provider_for(channel: Channel) -> Provider:
    """Return the provider of a channel; raises ChannelError if its kind has none."""
    try:
        return CHANNEL_KINDS[channel.kind](channel)
    except KeyError:
        raise ChannelError(f"There is no channel kind {channel.kind!r}.", permanent=True) from None


def following(event: str) -> list[str]:
    """Return the names of the kinds whose receivers are told this later event of an incident."""
    return [name for name, kind in CHANNEL_KINDS.items() if event in kind.follows]
