"""What can be done with subscriptions and topics: the same functions for the API, the admin and commands."""

from subscriptions.services.subscriptions import (
    OWN_LIMIT,
    create_subscription,
    deactivate_subscription,
    delete_subscription,
    delete_subscriptions_of,
    has_own_integration,
    update_subscription,
)
from subscriptions.services.topics import (
    TopicValues,
    check_schema,
    create_topic,
    delete_topic,
    problem_of_topic,
    update_topic,
)
from subscriptions.services.values import SubscriptionValues

__all__ = [
    "OWN_LIMIT",
    "SubscriptionValues",
    "TopicValues",
    "check_schema",
    "create_subscription",
    "create_topic",
    "deactivate_subscription",
    "delete_subscription",
    "delete_subscriptions_of",
    "delete_topic",
    "has_own_integration",
    "problem_of_topic",
    "update_subscription",
    "update_topic",
]
