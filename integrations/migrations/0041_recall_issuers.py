from django.db import migrations


def recall_issuers(apps, schema_editor):
    """Who issued the tokens that there are: the audit says so. Oldest first, so that a token that issued another
    has its own people by then."""
    AccessToken = apps.get_model("integrations", "AccessToken")
    AuditEntry = apps.get_model("integrations", "AuditEntry")
    using = schema_editor.connection.alias
    known = {}  # store and name to the tokens' people; None: not known
    for token in AccessToken.objects.using(using).order_by("created_at"):
        made = AuditEntry.objects.using(using).filter(
            target_type="accesstoken", target_id=str(token.pk), action="create"
        ).first()
        people = None
        if made is None:
            pass
        elif made.user_id is not None:
            people = {made.user_id}
        elif made.actor.startswith("manage.py"):
            people = set()
        elif made.actor.startswith("token "):
            # Names are not unique: all tokens of the store with this name may have been it.
            parents = known.get((token.store_id, made.actor.removeprefix("token ")), [None])
            people = None if None in parents else set().union(*parents)
        known.setdefault((token.store_id, token.name), []).append(people)
        if people is not None:
            token.issuers.set(people)
        token.is_issuer_known = people is not None
        token.save(update_fields=["is_issuer_known"])


class Migration(migrations.Migration):
    dependencies = [("integrations", "0040_token_issuers")]

    operations = [migrations.RunPython(recall_issuers, migrations.RunPython.noop)]
