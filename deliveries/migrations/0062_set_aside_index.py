from django.db import migrations, models

INDEX = models.Index(
    condition=models.Q(("status__in", ["discarded", "superseded"])), fields=["status"], name="delivery_set_aside"
)


def add(apps, schema_editor):
    """Beside what goes on, where the database can: deliveries may be many millions."""
    options = {"concurrently": True} if schema_editor.connection.vendor == "postgresql" else {}
    schema_editor.add_index(apps.get_model("deliveries", "Delivery"), INDEX, **options)


def remove(apps, schema_editor):
    options = {"concurrently": True} if schema_editor.connection.vendor == "postgresql" else {}
    schema_editor.remove_index(apps.get_model("deliveries", "Delivery"), INDEX, **options)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("deliveries", "0061_push_window")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(add, remove)],
            state_operations=[migrations.AddIndex("delivery", INDEX)],
        )
    ]
