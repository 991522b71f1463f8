"""Paths below `/api/v1/` that belong to subscriptions; their feeds and pings belong to deliveries."""

from integrations.api.routes import both
from subscriptions.api import topics, views

urlpatterns = [
    *both("subscriptions", views.SubscriptionsView.as_view(), "subscriptions"),
    *both("subscriptions/<str:subscription_id>", views.SubscriptionView.as_view(), "subscription"),
    *both("topics", topics.TopicsView.as_view(), "topics"),
    *both("topics/<str:name>", topics.TopicView.as_view(), "topic"),
]
