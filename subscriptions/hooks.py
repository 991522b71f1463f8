"""How deliveries learn what becomes of subscriptions. Inside the transaction of the change."""

from __future__ import annotations

from datetime import datetime

from integrations.foundation.hooks import Hook
from subscriptions.models import Subscription

#: A subscription was made.
subscription_created: Hook[[Subscription, datetime]] = Hook()
#: A subscription was deleted; it no longer wants what has not been sent yet.
subscription_deleted: Hook[[Subscription, datetime]] = Hook()
