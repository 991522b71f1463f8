from django.db import migrations

from deliveries.storage.text_index import drop_text_index, make_text_index


def make(apps, schema_editor):
    if why := make_text_index(schema_editor.connection):
        print(f"\n    {why}")


def drop(apps, schema_editor):
    drop_text_index(schema_editor.connection)


class Migration(migrations.Migration):
    """Not part of the models: Django knows no trigrams. The tables are still empty."""

    atomic = False

    dependencies = [("deliveries", "0170_search")]

    operations = [migrations.RunPython(make, drop)]
