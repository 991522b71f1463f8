from django.db import migrations


class Migration(migrations.Migration):
    """Nobody asks which stores changed since a version: the counter of the configuration says it in one row."""

    dependencies = [("integrations", "0110_registered_kinds")]

    operations = [migrations.RemoveIndex("store", "store_config_version")]
