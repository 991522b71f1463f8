from django.db import migrations


def recall_people(apps, schema_editor):
    """Edits of programs that wait for approval: whoever stands behind a token of the program's name stands behind them."""
    Revision = apps.get_model("deliveries", "Revision")
    AccessToken = apps.get_model("integrations", "AccessToken")
    using = schema_editor.connection.alias
    waiting = Revision.objects.using(using).filter(is_awaiting_approval=True).select_related("delivery")
    for revision in waiting.filter(author__isnull=False):
        revision.people.set([revision.author_id])
    for revision in waiting.filter(author=None, author_name__startswith="token "):
        tokens = list(
            AccessToken.objects.using(using).filter(
                store_id=revision.delivery.store_id, name=revision.author_name.removeprefix("token ")
            )
        )
        revision.people.set({person.pk for token in tokens for person in token.issuers.all()})
        revision.is_issuer_known = bool(tokens) and all(token.is_issuer_known for token in tokens)
        revision.save(update_fields=["is_issuer_known"])


class Migration(migrations.Migration):
    dependencies = [("deliveries", "0040_revision_people"), ("integrations", "0041_recall_issuers")]

    operations = [migrations.RunPython(recall_people, migrations.RunPython.noop)]
