from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("deliveries", "0190_proposals"),
    ]

    operations = [
        migrations.AddField(
            model_name="event",
            name="traceparent",
            field=models.CharField(editable=False, max_length=55, null=True),
        ),
    ]
