"""Which version of its subscription made a delivery, and each attempt of it: computed from when they were made.

Nothing is kept for it. An attempt's id is made right after its claim has read the configuration's version, and it
starts when its request is built: the version that was used is one that was in force between the two.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.utils.translation import gettext as _

from deliveries.models import Attempt
from integrations.foundation.identifiers import made_at
from subscriptions.explaining import version_between
from subscriptions.models import Subscription
from subscriptions.services.versions import histories_of

#: From when a version says it begins until others can read it: the rest of the transaction that writes it.
UNSEEN: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Version:
    """`number`: None if it is not known. `is_certain`: false if it was changed at that very moment, so that it may have
    been the one before.
    """

    number: int | None = None
    is_certain: bool = True

    def __str__(self) -> str:
        if self.number is None:
            return _("version not known")
        words = _("version %(number)s") if self.is_certain else _("version %(number)s or the one before")
        return words % {"number": self.number}


class MadeBy:
    """The versions of one subscription; None: of a delivery without one."""

    def __init__(self, subscription_id: uuid.UUID | None) -> None:
        rows = Subscription.objects.filter(pk=subscription_id).defer("parameters") if subscription_id else []
        self._history = next(iter(histories_of(rows).values()), [])

    def version_at(self, moment: datetime) -> Version:
        """Of what was made in the transaction of a push, which versions part exactly."""
        return Version(*version_between(self._history, moment, moment))

    def version_of(self, attempt: Attempt) -> Version:
        claimed = min(made_at(attempt.pk), attempt.started_at)
        return Version(*version_between(self._history, claimed - UNSEEN, attempt.started_at))
