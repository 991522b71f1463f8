"""How deliveries learn what becomes of subscriptions. Inside the transaction of the change."""

from __future__ import annotations

from datetime import datetime

from integrations.ports import Port
from subscriptions.models import Subscription

#: A subscription was made.
subscription_created: Port[[Subscription, datetime]] = Port()
#: A subscription was deleted; it no longer wants what has not been sent yet.
subscription_deleted: Port[[Subscription, datetime]] = Port()
