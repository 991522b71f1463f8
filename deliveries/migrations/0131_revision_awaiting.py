from django.db import migrations, models

from integrations.foundation.online_migrations import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("deliveries", "0130_cases")]

    operations = [
        AddIndexOnline(
            model_name="revision",
            index=models.Index(
                fields=["created_at"], name="revision_awaiting", condition=models.Q(is_awaiting_approval=True)
            ),
        ),
    ]
