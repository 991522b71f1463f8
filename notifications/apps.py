from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "notifications"
    verbose_name = "Notifications"

    def ready(self) -> None:
        from deliveries import ports
        from notifications import services

        ports.settled.connect(services.on_settled)
        ports.groups_resolved.connect(services.on_groups_resolved)
        ports.announced.connect(services.on_announced)
        ports.deliveries_pruned.connect(services.on_deliveries_pruned)
