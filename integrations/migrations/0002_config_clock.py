from django.db import migrations

from integrations.config_version import clock_triggers


def create_clock(apps, schema_editor):
    apps.get_model("integrations", "ConfigClock").objects.get_or_create(id=1)


class Migration(migrations.Migration):
    dependencies = [("integrations", "0001_initial")]
    operations = [
        migrations.RunPython(create_clock, migrations.RunPython.noop),
        clock_triggers("integrations_accesstoken", ["store_id", "token_hash", "scopes", "expires_at", "revoked_at"]),
        clock_triggers(
            "integrations_integration",
            ["name", "url", "connector", "wire_format", "auth_type", "auth_header", "token", "parameters", "headers",
             "additional_data", "retry_policy", "timeout", "max_in_flight", "rate_limit", "permanent_statuses",
             "is_enabled", "deleted_at"],
        ),
        clock_triggers(
            "integrations_secret",
            ["value", "expires_at"],
            store="(SELECT store_id FROM integrations_integration WHERE id = {row}.integration_id)",
        ),
    ]
