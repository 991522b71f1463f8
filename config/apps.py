from django.apps import AppConfig


class ConfigConfig(AppConfig):
    name = "config"
    verbose_name = "Hookdesk"

    def ready(self) -> None:
        from django.apps import apps
        from django.contrib.auth.signals import user_logged_in
        from django.db.models.signals import post_migrate

        from config.accounts.history import listen
        from config.desk.reauthentication import on_login
        from config.desk.roles import make_groups
        from config.observability import reporting

        reporting.start()
        # The last of our apps: every table and permission that the groups need exists by then.
        post_migrate.connect(make_groups, sender=apps.get_app_config("notifications"), dispatch_uid="roles")
        user_logged_in.connect(on_login, dispatch_uid="reauthentication")
        listen()
