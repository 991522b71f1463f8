"""Models get other names; their tables keep theirs, so that web and workers of both versions can run at once."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("deliveries", "0062_set_aside_index")]
    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterModelTable("StatSlot", "deliveries_statslot"),
                migrations.RenameModel("StatSlot", "StatsBucket"),
                migrations.AlterModelTable("WizardVisit", "deliveries_wizardvisit"),
                migrations.RenameModel("WizardVisit", "WizardPresence"),
            ],
            database_operations=[],
        ),
    ]
