"""Changes of subscriptions that are tried before they are made."""

from __future__ import annotations

from typing import Any, Unpack

from integrations.models import Integration
from integrations.parameters import unmask_parameters
from integrations.services.proposals import unsaved_copy
from subscriptions.models import Subscription
from subscriptions.services.subscriptions import FIELDS, apply_values, check_usable, shown_fields
from subscriptions.services.values import SubscriptionValues, check_together, clean_values


def proposed_subscription(*, subscription: Subscription, **values: Unpack[SubscriptionValues]) -> Subscription:
    """What `update_subscription` would make of it, not saved. Raises ValidationError by field.

    Its integration is the one that is given, or the current one: a new `url` or `hub_secret` is not looked at.
    """
    cleaned = clean_values(values, subscription.store)
    if cleaned.get("parameters"):
        cleaned["parameters"] = unmask_parameters(cleaned["parameters"], subscription.parameters)
    found = unsaved_copy(subscription)
    found.store, found.integration = subscription.store, subscription.integration
    apply_values(found, cleaned)
    wanted: Integration | None = cleaned.get("integration")
    if wanted is not None and wanted != subscription.integration:
        check_usable(wanted, subscription.store, cleaned)
        found.integration = wanted
    check_together(found)
    return found


def changes_of_subscription(before: Subscription, after: Subscription) -> dict[str, tuple[Any, Any]]:
    """The fields that differ, as the history shows them: credentials masked."""
    names = [name for name in FIELDS if getattr(before, name) != getattr(after, name)]
    old, new = shown_fields(before, names), shown_fields(after, names)
    return {name: (old[name], new[name]) for name in new if name in names or old[name] != new[name]}
