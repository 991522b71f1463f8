from django.db import migrations

from integrations.config_version import clock_triggers


class Migration(migrations.Migration):
    dependencies = [("integrations", "0003_turn_context")]
    # A store's words are part of its routing. And whoever saves a store that was read earlier writes its old version
    # back, under which caches would take a revoked token for a good one: the trigger stamps a new one at once.
    operations = [clock_triggers("integrations_store", ["singular_overrides"], store="{row}.id")]
