"""Paths below `/api/v1/` that belong to deliveries: ingest, what happened, and feeds and pings of others' resources."""

from deliveries.api import backfills, cases, erasures, feeds, past_events, recipes, views
from deliveries.api.push import EventsView, PushView
from deliveries.api.source_requests import SourceRequestsView
from integrations.api.routes import both

urlpatterns = [
    *both("push", PushView.as_view(), "push"),
    *both("events", EventsView.as_view(), "events"),
    *both("events/<str:event_id>", views.EventView.as_view(), "event"),
    *both("events/<str:event_id>/explain", past_events.ExplainView.as_view(), "explain-event"),
    *both("events/<str:event_id>/deliver", past_events.DeliverView.as_view(), "deliver-event"),
    *both("backfills", backfills.BackfillsView.as_view(), "backfills"),
    *both("backfills/preview", backfills.BackfillPreviewView.as_view(), "preview-backfill"),
    *both("backfills/<str:backfill_id>", backfills.BackfillView.as_view(), "backfill"),
    *both("backfills/<str:backfill_id>/pause", backfills.PauseView.as_view(), "pause-backfill"),
    *both("backfills/<str:backfill_id>/resume", backfills.ResumeView.as_view(), "resume-backfill"),
    *both("backfills/<str:backfill_id>/cancel", backfills.CancelView.as_view(), "cancel-backfill"),
    *both("deliveries", views.DeliveriesView.as_view(), "deliveries"),
    *both("deliveries/<str:delivery_id>", views.DeliveryView.as_view(), "delivery"),
    *both("deliveries/<str:delivery_id>/attempts", views.AttemptsView.as_view(), "attempts"),
    *both("deliveries/<str:delivery_id>/resolve", views.ResolveView.as_view(), "resolve-delivery"),
    *both("erasures", erasures.ErasuresView.as_view(), "erasures"),
    *both("erasures/<str:erasure_id>", erasures.ErasureView.as_view(), "erasure"),
    *both("erasures/<str:erasure_id>/confirm", erasures.ConfirmErasureView.as_view(), "confirm-erasure"),
    *both("erasures/<str:erasure_id>/cancel", erasures.CancelErasureView.as_view(), "cancel-erasure"),
    *both("recipes", recipes.RecipesView.as_view(), "recipes"),
    *both("recipes/preview", recipes.PreviewView.as_view(), "preview-recipe"),
    *both("recipes/apply", recipes.ApplyView.as_view(), "apply-recipe"),
    *both("recipes/<str:recipe_id>", recipes.RecipeView.as_view(), "recipe"),
    *both("recipes/<str:recipe_id>/off", recipes.RecipeOffView.as_view(), "recipe-off"),
    *both("fixes/<str:fix_id>", recipes.FixView.as_view(), "fix"),
    *both("cases", cases.CasesView.as_view(), "cases"),
    *both("cases/<str:case_id>", cases.CaseView.as_view(), "case"),
    *both("cases/<str:case_id>/comments", cases.CommentsView.as_view(), "case-comments"),
    *both("cases/<str:case_id>/assign", cases.AssignView.as_view(), "assign-case"),
    *both("cases/<str:case_id>/snooze", cases.SnoozeView.as_view(), "snooze-case"),
    *both("cases/<str:case_id>/wake", cases.WakeView.as_view(), "wake-case"),
    *both("cases/<str:case_id>/ticket", cases.TicketView.as_view(), "case-ticket"),
    *both("cases/<str:case_id>/merge", cases.MergeView.as_view(), "merge-case"),
    *both("cases/<str:case_id>/split", cases.SplitView.as_view(), "split-case"),
    *both("cases/<str:case_id>/resolve", cases.ResolveCaseView.as_view(), "resolve-case"),
    *both("cases/<str:case_id>/reopen", cases.ReopenCaseView.as_view(), "reopen-case"),
    *both("subscriptions/<str:subscription_id>/sent", feeds.SentView.as_view(), "subscription-sent"),
    *both("subscriptions/<str:subscription_id>/retry", feeds.RetryView.as_view(), "subscription-retry"),
    *both("subscriptions/<str:subscription_id>/error", feeds.ErrorsView.as_view(), "subscription-error"),
    # The same feed under the name that `links` uses; the schema lists only one of them.
    *both("subscriptions/<str:subscription_id>/errors", feeds.ErrorsView.as_view(schema=None), "subscription-errors"),
    *both("subscriptions/<str:subscription_id>/ping", feeds.SubscriptionPingView.as_view(), "subscription-ping"),
    *both("sources/<slug:slug>/requests", SourceRequestsView.as_view(), "source-requests"),
    *both("integrations/<slug:slug>/ping", feeds.IntegrationPingView.as_view(), "integration-ping"),
]
