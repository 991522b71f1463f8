from django.db import migrations

from integrations.config_version import clock_first


class Migration(migrations.Migration):
    dependencies = [("integrations", "0004_store_ticks_the_clock"), ("subscriptions", "0002_config_clock")]
    operations = [
        clock_first(
            "integrations_accesstoken", ["store_id", "token_hash", "scopes", "expires_at", "revoked_at"]
        ),
        clock_first(
            "integrations_integration",
            ["name", "url", "connector", "wire_format", "auth_type", "auth_header", "token", "parameters", "headers",
             "additional_data", "retry_policy", "timeout", "max_in_flight", "rate_limit", "permanent_statuses",
             "is_enabled", "deleted_at"],
        ),
        clock_first("integrations_secret", ["value", "expires_at"]),
        clock_first("integrations_store", ["singular_overrides"]),
        clock_first("subscriptions_topic", ["name", "schema", "condition"]),
        clock_first(
            "subscriptions_subscription",
            ["integration_id", "topics", "intents", "event_names", "path", "filter", "transform", "parameters",
             "is_ordered", "is_active", "deleted_at"],
        ),
    ]
