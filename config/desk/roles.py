"""The groups Viewer, Operator and Manager.

Created after each `migrate` and not by a migration: Django writes the permissions themselves only after all
migrations have run (`post_migrate`), so that a migration would find none of them on a fresh database. What a
group needs is added; what an administrator has added as well stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.apps import apps as installed_apps
from django.utils.translation import gettext_lazy as _

APPS = ("integrations", "subscriptions", "deliveries", "notifications")

#: Models that staff never touch directly: credentials, and the engine's own bookkeeping.
HIDDEN = {
    "integrations.secret",
    "integrations.configversion",
    "integrations.liftrequest",
    "integrations.retention",
    "integrations.sourceaddress",
    "integrations.sourcecount",
    "integrations.sourcesecret",
    "integrations.staffprofile",
    "subscriptions.subscriptionversion",
    "deliveries.bodysweep",
    "deliveries.idempotencykey",
    "deliveries.proposal",
    "deliveries.replayitem",
    "deliveries.bulkfixitem",
    "deliveries.recipeuse",
    "deliveries.simulationitem",
    "deliveries.sourceevent",
    "deliveries.sourcekey",
    "deliveries.wizardpresence",
    "deliveries.casecomment",
    "deliveries.caserule",
    "deliveries.failurehour",
    "deliveries.eventdocument",
    "deliveries.deliverydocument",
    "deliveries.recorddocument",
    "deliveries.searchstate",
    "deliveries.searchedstore",
    "deliveries.searchpurge",
    "deliveries.savedview",
    "notifications.personalnotice",
    "notifications.openincident",
}
#: An Operator resolves failures, and tries changes on past events.
OPERATOR = {
    "deliveries.resolve_delivery",
    "deliveries.replay_delivery",
    "deliveries.release_delivery",
    "deliveries.add_simulation",
    "notifications.change_notification",
}
#: A Manager also sets things up, and is the second person who approves an edited payload.
MANAGER = OPERATOR | {"deliveries.approve_revision", "deliveries.erase_data", "integrations.set_approval_rule",
                      "integrations.export_lists"}  # fmt: skip
MANAGED = {
    "integrations.integration": ("add", "change", "delete"),
    "integrations.source": ("add", "change", "delete"),
    "integrations.accesstoken": ("add", "change", "delete"),
    "integrations.store": ("add", "change"),
    "subscriptions.subscription": ("add", "change", "delete"),
    "subscriptions.topic": ("add", "change", "delete"),
    "notifications.channel": ("add", "change", "delete"),
}
VIEWER, OPERATOR_NAME, MANAGER_NAME = "Viewer", "Operator", "Manager"
#: How pages name these groups; the database, OIDC_ROLES and the audit trail keep the names above.
LABELS = {VIEWER: _("Viewer"), OPERATOR_NAME: _("Operator"), MANAGER_NAME: _("Manager")}


def role_label(name: str) -> str:
    """The name of a role in the language of the page; of an installation's own role as it was given."""
    return str(LABELS.get(name, name))


def permissions_of() -> dict[str, set[str]]:
    """The permissions of each group, as `app.codename`."""
    views = {
        f"{model._meta.app_label}.view_{model._meta.model_name}"
        for app in APPS
        for model in installed_apps.get_app_config(app).get_models()
        if model._meta.label_lower not in HIDDEN
    }
    managed = {
        f"{label.partition('.')[0]}.{verb}_{label.partition('.')[2]}"
        for label, verbs in MANAGED.items()
        for verb in verbs
    }
    # Only people who may create tokens see them.
    viewer = views - {"integrations.view_accesstoken"}
    return {VIEWER: viewer, OPERATOR_NAME: viewer | OPERATOR, MANAGER_NAME: views | MANAGER | managed}


def make_groups(using: str = "default", **_signal: Any) -> None:
    """Receiver of `post_migrate`. Idempotent."""
    from django.contrib.auth.management import create_permissions
    from django.contrib.auth.models import Group

    for app in APPS:
        # Ours may run before Django's own receiver has written the permissions of the last app.
        create_permissions(installed_apps.get_app_config(app), verbosity=0, using=using)
    for name, wanted in permissions_of().items():
        group, _created = Group.objects.using(using).get_or_create(name=name)
        group.permissions.add(*_permissions(wanted, using))


def _permissions(wanted: Iterable[str], using: str) -> list[Any]:
    from django.contrib.auth.models import Permission

    names = set(wanted)
    ours = Permission.objects.using(using).filter(content_type__app_label__in=APPS).select_related("content_type")
    found = [one for one in ours if f"{one.content_type.app_label}.{one.codename}" in names]
    missing = names - {f"{one.content_type.app_label}.{one.codename}" for one in found}
    if missing:
        raise LookupError(f"There is no permission {', '.join(sorted(missing))}.")
    return found
