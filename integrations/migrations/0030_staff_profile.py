import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import integrations.models.store


def keep_what_people_see(apps, schema_editor):
    """Until now, staff with no store saw every store. From now on that is said by a row."""
    app, name = settings.AUTH_USER_MODEL.split(".")
    user = apps.get_model(app, name)
    profile = apps.get_model("integrations", "StaffProfile")
    assigned = apps.get_model("integrations", "Store").staff.through.objects.values("user_id")
    unlimited = user.objects.exclude(pk__in=assigned).values_list("pk", flat=True)
    profile.objects.bulk_create(
        [profile(user_id=pk, sees_all_stores=True) for pk in unlimited.iterator()], batch_size=500
    )


def mend_overrides(apps, schema_editor):
    """Whatever is no word beside a word went unchecked, and made a store's pushes fail."""
    for store in apps.get_model("integrations", "Store").objects.exclude(singular_overrides={}).iterator():
        given = store.singular_overrides
        pairs = given.items() if isinstance(given, dict) else ()
        kept = {many: one for many, one in pairs if isinstance(one, str) and one}
        if kept != given:
            store.singular_overrides = kept
            store.save(update_fields=["singular_overrides"])


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("integrations", "0010_clock_first"),
    ]
    operations = [
        migrations.CreateModel(
            name="StaffProfile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("sees_all_stores", models.BooleanField(default=False)),
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="staff_profile",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.AlterField(
            model_name="store",
            name="staff",
            field=models.ManyToManyField(
                blank=True,
                help_text="Who sees this store, beside superusers and those who see all stores. Superusers set this.",
                related_name="stores",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AlterField(
            model_name="store",
            name="singular_overrides",
            field=models.JSONField(
                blank=True,
                default=dict,
                help_text='Plural to singular, where English rules fail: {"kudos": "kudos"}.',
                validators=[integrations.models.store.validate_overrides],
            ),
        ),
        migrations.RunPython(keep_what_people_see, migrations.RunPython.noop),
        migrations.RunPython(mend_overrides, migrations.RunPython.noop),
    ]
