from django.db import migrations


def fill_pages(apps, schema_editor):
    """Room for an attempt's second version is no longer needed. Only what is written from now on gets denser."""
    if schema_editor.connection.vendor != "postgresql":
        return
    # A table that was partitioned by hand (docs/scaling.md) has no such setting; its partitions do.
    schema_editor.execute(
        "DO $$ DECLARE one regclass; BEGIN"
        " FOR one IN SELECT c.oid FROM pg_class c WHERE c.relkind = 'r' AND (c.oid = 'deliveries_attempt'::regclass"
        " OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'deliveries_attempt'::regclass))"
        " LOOP EXECUTE format('ALTER TABLE %s RESET (fillfactor)', one); END LOOP; END $$",
        params=None,
    )


class Migration(migrations.Migration):
    dependencies = [("deliveries", "0140_sources")]
    operations = [migrations.RunPython(fill_pages, migrations.RunPython.noop)]
