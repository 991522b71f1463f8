from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("integrations", "0145_objectives"),
    ]

    operations = [
        migrations.AddField(
            model_name="accesstoken",
            name="addresses",
            field=models.JSONField(editable=False, null=True),
        ),
    ]
