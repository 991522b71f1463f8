"""Reservations; and an index of records that cannot be mistaken for the one of their keys."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

from integrations.foundation.online_migrations import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("deliveries", "0101_words")]

    operations = [
        migrations.CreateModel(
            name="Reservation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("integration_id", models.BigIntegerField()),
                ("room", models.PositiveIntegerField()),
                ("until", models.DateTimeField()),
                (
                    "engine",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="reservations", to="deliveries.engine"
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="reservation",
            constraint=models.UniqueConstraint(fields=("integration_id", "engine"), name="reservation_is_unique"),
        ),
        AddIndexOnline(
            model_name="record",
            index=models.Index(
                fields=["store", "-updated_at"], name="record_newest", condition=models.Q(("version__gt", 0))
            ),
        ),
        migrations.RemoveIndex(model_name="record", name="record_latest"),
    ]
