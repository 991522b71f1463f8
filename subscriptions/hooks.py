"""Hooks by which deliveries learn of changes to subscriptions; called inside the changing transaction."""

from __future__ import annotations

import uuid
from datetime import datetime

from integrations.foundation.hooks import Hook
from subscriptions.models import Subscription

#: A subscription was created.
subscription_created: Hook[[Subscription, datetime]] = Hook()
#: A subscription was deleted: discard what has not been sent yet.
subscription_deleted: Hook[[Subscription, datetime]] = Hook()
#: A topic (store, name) was taken into the search (True) or out of it.
topic_search_switched: Hook[[uuid.UUID, str, bool]] = Hook()
