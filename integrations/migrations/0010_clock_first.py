from django.db import migrations

from integrations.config_version import clock_first


class Migration(migrations.Migration):
    # The same for the tables of `subscriptions` is in 0160 there: this app depends on no other of ours, or neither
    # could be squashed.
    dependencies = [("integrations", "0004_store_ticks_the_clock")]
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
    ]
