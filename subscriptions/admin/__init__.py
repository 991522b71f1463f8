from subscriptions.admin.subscription import SubscriptionAdmin
from subscriptions.admin.topic import TopicAdmin

__all__ = ["SubscriptionAdmin", "TopicAdmin"]
