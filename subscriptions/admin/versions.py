"""The versions of a subscription: listed, any two side by side, and put back."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.admin.diff import Row, side_by_side
from integrations.foundation.audit import Actor
from subscriptions.models import Subscription
from subscriptions.services.restoring import ShownVersion, restore_version, version_of, versions_of

#: What the fields are called on the page.
NAMES = {
    "is_ordered": gettext_lazy("ordered"),
    "is_active": gettext_lazy("active"),
    "event_names": gettext_lazy("event names"),
    "topics": gettext_lazy("topics"),
    "intents": gettext_lazy("intents"),
    "integration": gettext_lazy("integration"),
    "path": gettext_lazy("path"),
    "filter": gettext_lazy("filter"),
    "transform": gettext_lazy("transform"),
}


def versions_context(request: HttpRequest, subscription: Subscription) -> dict[str, Any]:
    """`?left=` and `right=` are numbers: by default the last two."""
    versions = versions_of(subscription)
    known = {version.number: version for version in versions}
    right = _chosen(request.GET.get("right", ""), known) or versions[0]
    earlier = next((version for version in versions if version.number < right.number), right)
    left = _chosen(request.GET.get("left", ""), known) or earlier
    return {
        "subscription": subscription,
        "versions": [(version, [named(name) for name in version.changed or ()]) for version in versions],
        "left": left,
        "right": right,
        "left_title": _("version %(number)s") % {"number": left.number},
        "right_title": _("version %(number)s") % {"number": right.number},
        "rows": difference(left, right),
    }


def back_context(request: HttpRequest, subscription: Subscription, number: int) -> dict[str, Any]:
    """The difference between now and then."""
    versions = versions_of(subscription)
    wanted = next((version for version in versions if version.number == number and version.is_kept), None)
    if wanted is None or version_of(subscription, number) is None:
        raise Http404(_("This version does not exist. Versions are deleted when no event of their time is left."))
    return {
        "subscription": subscription,
        "version": wanted,
        "current": versions[0],
        "left_title": _("now"),
        "right_title": _("version %(number)s") % {"number": number},
        "rows": difference(versions[0], wanted),
    }


def put_back(request: HttpRequest, subscription: Subscription, number: int) -> bool:
    """False, with a message, if it cannot be done."""
    version = version_of(subscription, number)
    if version is None:
        raise Http404(_("This version does not exist."))
    try:
        restore_version(subscription=subscription, version=version, actor=Actor.of_user(request.user))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return False
    messages.success(request, _("Version %(number)s was put back. Applies to events from now on.") % {"number": number})
    return True


def difference(left: ShownVersion, right: ShownVersion) -> list[Row]:
    """Empty if they say the same."""
    return side_by_side(_as_text(left), _as_text(right)) if left.values != right.values else []


def named(field: str) -> str:
    return str(NAMES.get(field, field))


def _as_text(version: ShownVersion) -> str:
    """A line for each value, so that a difference is that of values."""
    lines = []
    for name, value in version.values.items():
        words = [value] if isinstance(value, str) else value if isinstance(value, list) else [json.dumps(value)]
        lines += [f"{named(name)}: {line}" for word in words or [""] for line in str(word).splitlines() or [""]]
    return "\n".join(lines)


def _chosen(text: str, known: dict[int, ShownVersion]) -> ShownVersion | None:
    return known.get(int(text)) if text.isascii() and text.isdecimal() and len(text) < 10 else None
