"""Where notifications go in addition to the admin. A new provider is a module here and a line in `provider_for`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from notifications.channels.base import ChannelError, OutgoingMessage, Provider

if TYPE_CHECKING:
    from notifications.models import Channel

__all__ = ["ChannelError", "OutgoingMessage", "Provider", "provider_for"]


def provider_for(channel: Channel) -> Provider:
    """Raises ChannelError for a kind without a provider."""
    from notifications.channels.email import Email
    from notifications.channels.sms import TwilioSms

    providers: dict[str, type[TwilioSms] | type[Email]] = {"sms": TwilioSms, "email": Email}
    try:
        return providers[channel.kind](channel)
    except KeyError:
        raise ChannelError(f"There is no channel kind {channel.kind!r}.", permanent=True) from None
