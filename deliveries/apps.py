from django.apps import AppConfig


class DeliveriesConfig(AppConfig):
    name = "deliveries"
    verbose_name = "Deliveries"

    def ready(self) -> None:
        from django.db.backends.signals import connection_created

        from deliveries import lifecycle, sql
        from integrations.ports import integration_deleted
        from subscriptions.ports import subscription_created, subscription_deleted

        connection_created.connect(sql.make_ready)
        integration_deleted.connect(lifecycle.discard_deliveries_of_integration)
        subscription_created.connect(lifecycle.ping_new_subscription)
        subscription_deleted.connect(lifecycle.discard_deliveries_of_subscription)
