"""Models get other names; their tables keep theirs, so that web and workers of both versions can run at once."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("integrations", "0050_recent_outcomes")]
    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterModelTable("ConfigClock", "integrations_configclock"),
                migrations.RenameModel("ConfigClock", "ConfigVersion"),
            ],
            database_operations=[],
        ),
    ]
