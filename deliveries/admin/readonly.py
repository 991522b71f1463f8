"""Read-only admins: events, records, attempts, engines."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from deliveries import exported
from deliveries.admin import past_events
from deliveries.admin.access import render, require
from deliveries.admin.detail import in_full
from deliveries.admin.saved_lists import saved_context
from deliveries.explaining.event import explain_event
from deliveries.ingest.loops import why_stopped
from deliveries.models import Attempt, Delivery, Engine, Event, Record, SavedView, SourceEvent
from integrations.admin.base import ReadOnlyAdmin
from integrations.admin.cells import drawn

DELIVERIES_SHOWN = 50


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_title = _("Events")
    one_of_them = _("event")
    field_names = {
        "object_id": _("object id"),
        "store": _("store"),
        "origin": _("origin"),
    }
    empty_text = _("Each push becomes events: what happened to which object. Subscriptions choose among them.")
    list_display = ["topic_name", "object_id", "store", "origin", "received"]
    list_select_related = ["store"]
    list_filter = ["origin"]
    export_columns = exported.EVENTS.columns
    search_fields = ["object_id"]
    search_help_text = _("Exact object id.")
    ordering = ["-id"]

    def get_urls(self) -> list[URLPattern]:
        return [
            self.route("nobody/", past_events.nobody_view, "nobody"),
            self.route("turned-away/<uuid:subscription>/", past_events.turned_away_view, "turned_away"),
            self.route("<uuid:pk>/deliver/", past_events.deliver_view, "deliver"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        saved = saved_context(request, SavedView.Page.EVENT)
        return super().changelist_view(request, saved | (extra_context or {}))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        return super().get_queryset(request).defer("data")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        if not (wanted := search_term.strip()):
            return queryset, False
        # The condition of the index, verbatim: SQLite does not use a partial index otherwise.
        indexed = RawSQL("NOT (deliveries_event.object_id = '')", [], output_field=BooleanField())
        return queryset.filter(indexed, object_id=wanted), False

    @admin.display(description=_("event"))
    def topic_name(self, event: Event) -> str:
        return event.name

    @admin.display(description=_("received"))
    def received(self, event: Event) -> SafeString:
        return drawn("ago", event.created_at)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        require(request, "deliveries.view_event")
        event = self.get_object(request, object_id)
        if event is None:
            raise Http404(gettext("This event does not exist. It may have been pruned."))
        rows = Delivery.objects.filter(event=event).select_related("integration", "store", "event")
        lines = explain_event(event)
        stopped = why_stopped(event.hops) if event.is_stopped else None
        context = {
            "event": event,
            "stopped": stopped,
            "origin": SourceEvent.objects.filter(event_id=event.pk).select_related("source").first(),
            "rows": rows.defer("event__data").order_by("-id")[:DELIVERIES_SHOWN],
            "lines": [line for line in lines if not line.is_about_topic and line.delivery is None],
            "others": [line for line in lines if line.is_about_topic],
        }
        return render(request, "admin/deliveries/event/change_form.html", f"{event.name} {event.object_id}", context)


@admin.register(Record)
class RecordAdmin(ReadOnlyAdmin):
    list_title = _("Records")
    one_of_them = _("record")
    field_names = {
        "external_id": _("record id"),
        "type": _("type"),
        "store": _("store"),
        "version": _("version"),
    }
    empty_text = _("The latest data of each object that a store has pushed.")
    list_display = ["external_id", "type", "store", "version", "updated"]
    list_select_related = ["store"]
    export_columns = exported.RECORDS.columns
    search_fields = ["external_id"]
    search_help_text = _("Exact record id.")
    ordering = ["-updated_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Record]:
        return super().get_queryset(request).filter(version__gt=0).defer("data")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        return (queryset.filter(external_id=search_term.strip()) if search_term.strip() else queryset), False

    @admin.display(description=_("updated"))
    def updated(self, record: Record) -> SafeString:
        return drawn("ago", record.updated_at)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        require(request, "deliveries.view_record")
        record = self.get_object(request, object_id)
        if record is None:
            raise Http404(gettext("This record does not exist."))
        events = Event.objects.filter(object_id=record.external_id, store=record.store, object_type=record.type)
        context = {"record": record, "events": events.defer("data").order_by("-id")[:DELIVERIES_SHOWN]}
        return render(request, "admin/deliveries/record/change_form.html", str(record), context)


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    """Every request that was sent, newest first. Each is shown on its delivery's page too."""

    list_title = _("Attempts")
    one_of_them = _("attempt")
    field_names = {
        "number": _("number"),
        "response_status": _("response status"),
        "duration_ms": _("duration in ms"),
    }
    empty_text = _("Every request that an engine sends is listed here, with what was answered.")

    store_path = "delivery__store"
    export_columns = exported.ATTEMPTS.columns
    list_display = ["number", "delivery_name", "outcome_pill", "response_status", "duration_ms", "started"]
    list_select_related = ["delivery__event", "delivery__integration"]
    ordering = ["-id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Attempt]:
        return super().get_queryset(request).defer("request_body", "response_body", "delivery__event__data")

    @admin.display(description=_("delivery"))
    def delivery_name(self, attempt: Attempt) -> str:
        return f"{attempt.delivery.topic} → {attempt.delivery.integration.name}"

    @admin.display(description=_("outcome"))
    def outcome_pill(self, attempt: Attempt) -> SafeString:
        return drawn("pill", attempt.outcome)

    @admin.display(description=_("started"))
    def started(self, attempt: Attempt) -> SafeString:
        return drawn("ago", attempt.started_at)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        require(request, "deliveries.view_attempt")
        attempt = get_object_or_404(self.get_queryset(request), pk=object_id)
        delivery = Delivery.objects.select_related("event", "integration", "subscription").get(pk=attempt.delivery_id)
        context = {"delivery": delivery, "shown": in_full(Attempt.objects.get(pk=attempt.pk), delivery)}
        title = gettext("Attempt #%(number)s") % {"number": attempt.number}
        return render(request, "admin/deliveries/attempt/change_form.html", title, context)


@admin.register(Engine)
class EngineAdmin(ReadOnlyAdmin):
    list_title = _("Engines")
    one_of_them = _("engine")
    field_names = {
        "host": _("host"),
        "slot": _("slot"),
        "pid": _("process id"),
        "in_flight": _("in flight"),
        "sent_count": _("sent"),
    }
    empty_text = _("Engines send deliveries. They run in the worker: python manage.py qcluster")
    store_path = None
    exclude = ["token", "started_at", "beat_at"]
    readonly_fields = ["started", "beat"]
    list_display = ["host", "slot", "pid", "in_flight", "sent_count", "started", "beat"]
    ordering = ["-beat_at"]

    @admin.display(description=_("started"))
    def started(self, engine: Engine) -> SafeString:
        return drawn("clock", engine.started_at)

    @admin.display(description=_("last heartbeat"))
    def beat(self, engine: Engine) -> SafeString:
        return drawn("ago", engine.beat_at)
