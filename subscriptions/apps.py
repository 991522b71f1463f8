from django.apps import AppConfig


class SubscriptionsConfig(AppConfig):
    name = "subscriptions"
    verbose_name = "Subscriptions"

    def ready(self) -> None:
        from integrations.foundation.hooks import integration_deleted
        from subscriptions.services import delete_subscriptions_of

        integration_deleted.connect(delete_subscriptions_of)
