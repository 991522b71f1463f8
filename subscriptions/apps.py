from django.apps import AppConfig
from django.utils.translation import gettext_lazy


class SubscriptionsConfig(AppConfig):
    name = "subscriptions"
    verbose_name = gettext_lazy("Subscriptions")

    def ready(self) -> None:
        from integrations.foundation.hooks import expression_given, integration_deleted
        from subscriptions.expressions.evaluation import check_expression
        from subscriptions.expressions.extensions import load_functions
        from subscriptions.services import delete_subscriptions_of

        load_functions()
        expression_given.connect(check_expression)
        integration_deleted.connect(delete_subscriptions_of)
