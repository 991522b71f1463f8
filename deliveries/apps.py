from django.apps import AppConfig
from django.utils.translation import gettext_lazy


class DeliveriesConfig(AppConfig):
    name = "deliveries"
    verbose_name = gettext_lazy("Deliveries")

    def ready(self) -> None:
        from django.db.backends.signals import connection_created

        from deliveries import hooks
        from deliveries.maintenance import cascade
        from deliveries.operational import outbox
        from deliveries.search.documents import on_payloads_erased
        from deliveries.search.switching import topic_switched
        from deliveries.storage import sql
        from integrations.foundation.hooks import integration_deleted, integration_switched
        from subscriptions.hooks import subscription_created, subscription_deleted, topic_search_switched

        connection_created.connect(sql.make_ready)
        hooks.settled.connect(outbox.on_settled)
        hooks.groups_opened.connect(outbox.on_groups_opened)
        hooks.groups_reopened.connect(outbox.on_groups_reopened)
        hooks.groups_resolved.connect(outbox.on_groups_resolved)
        hooks.payloads_erased.connect(on_payloads_erased)
        hooks.recipe_stopped.connect(outbox.on_recipe_stopped)
        integration_switched.connect(outbox.on_integration_switched)
        integration_deleted.connect(cascade.discard_deliveries_of_integration)
        subscription_created.connect(cascade.ping_new_subscription)
        subscription_deleted.connect(cascade.discard_deliveries_of_subscription)
        topic_search_switched.connect(topic_switched)
