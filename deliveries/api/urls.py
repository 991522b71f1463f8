"""Paths below `/api/v1/` that belong to deliveries: ingest, what happened, and feeds and pings of others' resources."""

from deliveries.api import feeds, views
from deliveries.api.push import EventsView, PushView
from deliveries.api.source_requests import SourceRequestsView
from integrations.api.routes import both

urlpatterns = [
    *both("push", PushView.as_view(), "push"),
    *both("events", EventsView.as_view(), "events"),
    *both("events/<str:event_id>", views.EventView.as_view(), "event"),
    *both("deliveries", views.DeliveriesView.as_view(), "deliveries"),
    *both("deliveries/<str:delivery_id>", views.DeliveryView.as_view(), "delivery"),
    *both("deliveries/<str:delivery_id>/attempts", views.AttemptsView.as_view(), "attempts"),
    *both("deliveries/<str:delivery_id>/resolve", views.ResolveView.as_view(), "resolve-delivery"),
    *both("subscriptions/<str:subscription_id>/sent", feeds.SentView.as_view(), "subscription-sent"),
    *both("subscriptions/<str:subscription_id>/retry", feeds.RetryView.as_view(), "subscription-retry"),
    *both("subscriptions/<str:subscription_id>/error", feeds.ErrorsView.as_view(), "subscription-error"),
    # The same feed under the name that `links` uses; the schema lists only one of them.
    *both("subscriptions/<str:subscription_id>/errors", feeds.ErrorsView.as_view(schema=None), "subscription-errors"),
    *both("subscriptions/<str:subscription_id>/ping", feeds.SubscriptionPingView.as_view(), "subscription-ping"),
    *both("sources/<slug:slug>/requests", SourceRequestsView.as_view(), "source-requests"),
    *both("integrations/<slug:slug>/ping", feeds.IntegrationPingView.as_view(), "integration-ping"),
]
