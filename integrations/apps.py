from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    name = "integrations"
    verbose_name = "Integrations"

    def ready(self) -> None:
        from integrations.extensions import load_extensions

        # Before the admin's forms and the API's serializers read the registries.
        load_extensions()
