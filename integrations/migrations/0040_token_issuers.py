from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("integrations", "0030_staff_profile"),
    ]

    operations = [
        # Null and without a default: SQLite would make the table anew otherwise, without its triggers.
        migrations.AddField(
            model_name="accesstoken",
            name="is_issuer_known",
            field=models.BooleanField(
                editable=False,
                help_text="Not true: anybody who may issue tokens may have issued it.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="accesstoken",
            name="issuers",
            field=models.ManyToManyField(
                help_text="The people who issued it, or the token that issued it: they may know its text.",
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
    ]
