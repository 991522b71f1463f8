"""Paths below `/api/v1/` that belong to subscriptions; their feeds and pings belong to deliveries."""

from integrations.api.routes import both
from subscriptions.api import exports, topics, versions, views

urlpatterns = [
    *(
        entry
        for name, view in exports.VIEWS.items()
        for entry in both(f"exports/{name}", view.as_view(), f"export-{name}")
    ),
    *both("subscriptions", views.SubscriptionsView.as_view(), "subscriptions"),
    *both("subscriptions/<str:subscription_id>", views.SubscriptionView.as_view(), "subscription"),
    *both("subscriptions/<str:subscription_id>/versions", versions.VersionsView.as_view(), "subscription-versions"),
    *both(
        "subscriptions/<str:subscription_id>/versions/<str:number>/restore",
        versions.RestoreView.as_view(),
        "restore-subscription-version",
    ),
    *both("topics", topics.TopicsView.as_view(), "topics"),
    *both("topics/<str:name>", topics.TopicView.as_view(), "topic"),
]
