"""A kind of channel: Mattermost's incoming webhooks (https://developers.mattermost.com/integrate/webhooks/incoming/)."""

from config.extension.v1 import Field, OutgoingMessage, Provider, lines, title

HOOKDESK_INTERFACE = 1


class Mattermost(Provider):
    label = "Mattermost"
    description = "Messages in a channel of Mattermost: when a case opens, and when it is resolved."
    fields = (
        # Whoever knows the URL can post: it is as secret as a password.
        Field("url", "Webhook URL", "Integrations → Incoming Webhooks.", is_secret=True),
        Field("channel", "Channel", "Empty: the webhook's own.", is_required=False),
    )
    follows = frozenset({"resolved"})

    def send(self, message: OutgoingMessage) -> str:
        text = message.text
        if message.incidents:
            text = "\n".join(
                [f"**{title(message.incidents, message.event)}**", *lines(message.incidents), message.link]
            )
        body = {"text": text} | ({"channel": self.option("channel")} if self.option("channel") else {})
        url = self.option("url")
        self.call("POST", url, body, secrets=(url,))
        return ""  # a webhook's message cannot be changed later
