from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "notifications"
    verbose_name = "Notifications"

    def ready(self) -> None:
        from deliveries import hooks
        from notifications import services

        hooks.settled.connect(services.on_settled)
        hooks.groups_resolved.connect(services.on_groups_resolved)
        hooks.announced.connect(services.on_announced)
        hooks.announcement_settled.connect(services.on_announcement_settled)
        hooks.deliveries_pruned.connect(services.on_deliveries_pruned)
