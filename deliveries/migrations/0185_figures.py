from django.db import migrations, models

KINDS = [(1, "succeeded"), (2, "retrying"), (3, "failed"), (4, "delivered")]


class Migration(migrations.Migration):
    dependencies = [("deliveries", "0180_erasure")]

    operations = [
        # The version before still writes `deliveries_statslot`, whose bins are others: the table stays, unused.
        migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel("StatsBucket")]),
        migrations.CreateModel(
            name="StatsBucket",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("slot", models.BigIntegerField()),
                ("integration_id", models.BigIntegerField()),
                ("bin", models.SmallIntegerField()),
                ("accepted", models.BigIntegerField(default=0)),
                ("succeeded", models.BigIntegerField(default=0)),
                ("failed", models.BigIntegerField(default=0)),
            ],
            options={
                "db_table": "deliveries_statsbucket",
                "indexes": [models.Index(fields=["slot"], name="stats_bucket_by_slot")],
                "constraints": [
                    models.UniqueConstraint(fields=("integration_id", "slot", "bin"), name="stats_bucket_is_unique")
                ],
            },
        ),
        migrations.CreateModel(
            name="AttemptCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("slot", models.BigIntegerField()),
                ("integration_id", models.BigIntegerField()),
                ("kind", models.SmallIntegerField(choices=KINDS)),
                ("bin", models.SmallIntegerField()),
                ("number", models.BigIntegerField()),
                ("milliseconds", models.BigIntegerField()),
                ("writer", models.BigIntegerField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("slot", "writer", "integration_id", "kind", "bin"), name="attempt_count_is_unique"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="AttemptStats",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("slot", models.BigIntegerField()),
                ("integration_id", models.BigIntegerField()),
                ("kind", models.SmallIntegerField(choices=KINDS)),
                ("bin", models.SmallIntegerField()),
                ("number", models.BigIntegerField()),
                ("milliseconds", models.BigIntegerField()),
            ],
            options={
                "verbose_name_plural": "attempt stats",
                "indexes": [models.Index(fields=["slot"], name="attempt_stats_by_slot")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("integration_id", "slot", "kind", "bin"), name="attempt_stats_is_unique"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PushCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("store_id", models.UUIDField()),
                ("status", models.SmallIntegerField()),
                ("writer", models.BigIntegerField()),
                ("number", models.BigIntegerField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("store_id", "status", "writer"), name="push_count_is_unique")
                ],
            },
        ),
    ]
