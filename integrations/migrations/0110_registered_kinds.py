from django.db import migrations, models


class Migration(migrations.Migration):
    """The kinds are in the registries of the code; the database never knew them. No statement is run."""

    dependencies = [("integrations", "0101_words")]

    operations = [
        migrations.AlterField("integration", "connector", models.CharField(blank=True, max_length=30, null=True)),
        migrations.AlterField("integration", "wire_format", models.CharField(default="standard", max_length=20)),
    ]
