from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("deliveries", "0196_operational_events"),
    ]

    operations = [
        migrations.AddField(
            model_name="savedview",
            name="page",
            field=models.CharField(
                choices=[("search", "search"), ("delivery", "deliveries"), ("event", "events")],
                db_default="search",
                default="search",
                max_length=10,
            ),
        ),
    ]
