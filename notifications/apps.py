from django.apps import AppConfig
from django.utils.translation import gettext_lazy


class NotificationsConfig(AppConfig):
    name = "notifications"
    verbose_name = gettext_lazy("Notifications")

    def ready(self) -> None:
        from deliveries import hooks
        from deliveries.erasure.places import add_places
        from notifications import erasure, follow_ups, personal, services
        from notifications.channels.extensions import load_channel_kinds

        add_places(erasure.PLACES, erasure.WITHOUT_PAYLOAD)
        hooks.payloads_erased.connect(erasure.on_payloads_erased)

        load_channel_kinds()
        hooks.settled.connect(services.on_settled)
        hooks.groups_resolved.connect(services.on_groups_resolved)
        hooks.groups_reopened.connect(services.on_groups_reopened)
        hooks.cases_woken.connect(services.on_cases_woken)
        hooks.case_assigned.connect(personal.on_case_assigned)
        hooks.case_assigned.connect(follow_ups.on_case_assigned)
        hooks.page_opened.connect(personal.on_page_opened)
        hooks.announced.connect(services.on_announced)
        hooks.announcement_settled.connect(services.on_announcement_settled)
        hooks.deliveries_pruned.connect(services.on_deliveries_pruned)
