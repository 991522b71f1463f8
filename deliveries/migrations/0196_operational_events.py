import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("deliveries", "0195_event_traceparent"),
        ("integrations", "0120_sources"),
    ]

    operations = [
        migrations.AlterField(
            model_name="event",
            name="origin",
            field=models.CharField(
                choices=[
                    ("push", "pushed object"),
                    ("event", "event API"),
                    ("pushback", "response of a receiver"),
                    ("test", "test"),
                    ("poll", "poll"),
                    ("source", "source"),
                    ("hookdesk", "Hookdesk itself"),
                ],
                max_length=10,
            ),
        ),
        migrations.CreateModel(
            name="OperationalEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("topic", models.CharField(max_length=60)),
                ("reference", models.CharField(max_length=40)),
                ("data", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField()),
                (
                    "store",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="integrations.store",
                    ),
                ),
            ],
            options={"ordering": ["id"]},
        ),
    ]
