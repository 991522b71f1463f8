"""Channels for notifications. To add a provider, write a module here and add a line to `provider_for`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from notifications.channels.base import ChannelError, OutgoingMessage, Provider

if TYPE_CHECKING:
    from notifications.models import Channel

__all__ = ["ChannelError", "OutgoingMessage", "Provider", "provider_for"]


def provider_for(channel: Channel) -> Provider:
    """Return the provider of a channel; raises ChannelError if its kind has none."""
    from notifications.channels.email import Email
    from notifications.channels.sms import TwilioSms

    providers: dict[str, type[TwilioSms] | type[Email]] = {"sms": TwilioSms, "email": Email}
    try:
        return providers[channel.kind](channel)
    except KeyError:
        raise ChannelError(f"There is no channel kind {channel.kind!r}.", permanent=True) from None
