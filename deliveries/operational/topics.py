"""The topics, and what their `data` may say."""

from __future__ import annotations

from typing import Final

from subscriptions.matching import OWN_TOPICS

DELIVERY_FAILED: Final = f"{OWN_TOPICS}delivery.failed"
INTEGRATION_DISABLED: Final = f"{OWN_TOPICS}integration.disabled"
INTEGRATION_ENABLED: Final = f"{OWN_TOPICS}integration.enabled"
CASE_OPENED: Final = f"{OWN_TOPICS}case.opened"
CASE_RESOLVED: Final = f"{OWN_TOPICS}case.resolved"
RECIPE_STOPPED: Final = f"{OWN_TOPICS}recipe.stopped"

TOPICS: Final = (
    DELIVERY_FAILED, INTEGRATION_DISABLED, INTEGRATION_ENABLED, CASE_OPENED, CASE_RESOLVED, RECIPE_STOPPED,
)  # fmt: skip
