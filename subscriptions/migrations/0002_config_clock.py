from django.db import migrations

from integrations.config_version import clock_triggers


class Migration(migrations.Migration):
    dependencies = [("subscriptions", "0001_initial"), ("integrations", "0002_config_clock")]
    operations = [
        clock_triggers("subscriptions_topic", ["name", "schema", "condition"]),
        clock_triggers(
            "subscriptions_subscription",
            ["integration_id", "topics", "intents", "event_names", "path", "filter", "transform", "parameters",
             "is_ordered", "is_active", "deleted_at"],
        ),
    ]
