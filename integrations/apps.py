from django.apps import AppConfig
from django.utils.translation import gettext_lazy


class IntegrationsConfig(AppConfig):
    name = "integrations"
    verbose_name = gettext_lazy("Integrations")

    def ready(self) -> None:
        from integrations.extensions import load_extensions

        # Before the admin's forms and the API's serializers read the registries.
        load_extensions()
