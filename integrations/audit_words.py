"""What the audit's codes of actions and kinds of targets are called on pages. The codes themselves are stored."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from django.apps import apps
from django.db.models import Model
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

ACTIONS: Final[dict[str, StrOrPromise]] = {
    "create": pgettext_lazy("audit", "create"),
    "change": pgettext_lazy("audit", "change"),
    "delete": pgettext_lazy("audit", "delete"),
    "enable": pgettext_lazy("audit", "enable"),
    "disable": pgettext_lazy("audit", "disable"),
    "deactivate": pgettext_lazy("audit", "deactivate"),
    "export": pgettext_lazy("audit", "export"),
    "change retention": pgettext_lazy("audit", "change retention"),
    "change staff": pgettext_lazy("audit", "change staff"),
    "rotate secret": pgettext_lazy("audit", "rotate secret"),
    "rotate address": pgettext_lazy("audit", "rotate address"),
    "set objectives": pgettext_lazy("audit", "set objectives"),
    "require approval": pgettext_lazy("audit", "require a second approver"),
    "ask to lift approval": pgettext_lazy("audit", "ask to lift the second approver"),
    "refuse to lift approval": pgettext_lazy("audit", "refuse to lift the second approver"),
    "lift approval": pgettext_lazy("audit", "lift the second approver"),
    "retry": pgettext_lazy("audit", "resend"),
    "edit": pgettext_lazy("audit", "edit"),
    "discard": pgettext_lazy("audit", "discard"),
    "fix": pgettext_lazy("audit", "fix and resend"),
    "backfill": pgettext_lazy("audit", "backfill"),
    "wait_for_source": pgettext_lazy("audit", "wait for the source"),
    "release_hold": pgettext_lazy("audit", "release the hold"),
    "undo": pgettext_lazy("audit", "undo"),
    "approve": pgettext_lazy("audit", "approve"),
    "reject": pgettext_lazy("audit", "reject"),
    "approve_batch": pgettext_lazy("audit", "approve several"),
    "reject_batch": pgettext_lazy("audit", "reject several"),
    "request_approval": pgettext_lazy("audit", "request approval"),
    "send": pgettext_lazy("audit", "send"),
    "propose": pgettext_lazy("audit", "propose"),
    "start": pgettext_lazy("audit", "start"),
    "stop": pgettext_lazy("audit", "stop"),
    "pause": pgettext_lazy("audit", "pause"),
    "resume": pgettext_lazy("audit", "resume"),
    "cancel": pgettext_lazy("audit", "cancel"),
    "assign": pgettext_lazy("audit", "assign"),
    "comment": pgettext_lazy("audit", "comment"),
    "snooze": pgettext_lazy("audit", "snooze"),
    "wake": pgettext_lazy("audit", "wake"),
    "link_ticket": pgettext_lazy("audit", "link a ticket"),
    "merge": pgettext_lazy("audit", "merge"),
    "split": pgettext_lazy("audit", "split"),
    "remove_rule": pgettext_lazy("audit", "remove a rule"),
    "resolve": pgettext_lazy("audit", "resolve"),
    "reopen": pgettext_lazy("audit", "reopen"),
    "switch_off": pgettext_lazy("audit", "switch off"),
    "erase": pgettext_lazy("audit", "erase"),
    "erased": pgettext_lazy("audit", "erased"),
    "approve erasure": pgettext_lazy("audit", "approve the erasure"),
    "cancel erasure": pgettext_lazy("audit", "cancel the erasure"),
    "add authenticator app": pgettext_lazy("audit", "add an authenticator app"),
    "remove authenticator app": pgettext_lazy("audit", "remove an authenticator app"),
    "add passkey": pgettext_lazy("audit", "add a passkey"),
    "remove passkey": pgettext_lazy("audit", "remove a passkey"),
    "add recovery codes": pgettext_lazy("audit", "add recovery codes"),
    "remove recovery codes": pgettext_lazy("audit", "remove recovery codes"),
    "renew recovery codes": pgettext_lazy("audit", "renew recovery codes"),
    "reset second factor": pgettext_lazy("audit", "reset the second factor"),
    "reset password": pgettext_lazy("audit", "reset the password"),
    "end sessions": pgettext_lazy("audit", "end sessions"),
    "connect single sign-on": pgettext_lazy("audit", "connect single sign-on"),
    "disconnect single sign-on": pgettext_lazy("audit", "disconnect single sign-on"),
}
#: Of models that are called otherwise than their admin does, or have no name in other languages.
TARGETS: Final[dict[str, StrOrPromise]] = {
    "accesstoken": _("access token"),
    "proposal": _("proposal"),
    "savedview": _("saved view"),
    "user": _("member of staff"),
    "group": _("role"),
}
#: What the audit list offers to filter by.
FILTERED: Final = (
    "delivery", "replay", "failuregroup", "notification", "source", "integration", "subscription", "topic", "store",
    "accesstoken", "channel",
)  # fmt: skip


def action_words(action: str) -> str:
    """Those of a code that is not known, such as one of a later version, are the code itself."""
    return str(ACTIONS.get(action, action.replace("_", " ")))


def target_words(target_type: str) -> str:
    """What the desk calls one row of the model of this name; the name itself if there is none."""
    if target_type in TARGETS:
        return str(TARGETS[target_type])
    model = _models().get(target_type)
    return target_type if model is None else str(model._meta.verbose_name)


@cache
def _models() -> dict[str, type[Model]]:
    return {str(model._meta.model_name): model for model in apps.get_models()}
