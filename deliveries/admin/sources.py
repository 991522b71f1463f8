"""What came in at sources: the last requests, live; what they would become under another mapping; a sample."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils import timezone, translation
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from deliveries import exported
from deliveries.access import visible_to
from deliveries.admin.access import render, require
from deliveries.ingest.service import TooMuchContention
from deliveries.models import SourceRequest
from deliveries.sources.preview import as_received, latest_request, preview, sample_of
from deliveries.sources.receive import Refused, receive
from integrations.admin.base import ReadOnlyAdmin
from integrations.admin.cells import drawn
from integrations.foundation.hooks import expression_given
from integrations.models import Source
from integrations.security.encryption import DecryptionError
from integrations.services.source_values import MAPPED
from integrations.sources.base import Incoming

SHOWN = 20
UNREADABLE = _("The secrets of this source cannot be decrypted: a key is missing from ENCRYPTION_KEYS.")
NO_SAMPLE = _("There is no secret yet to prove a sample with. Enter the sender’s secret first.")


@admin.register(SourceRequest)
class SourceRequestAdmin(ReadOnlyAdmin):
    """The last requests of all sources; those of one are on its page."""

    list_title = _("Source requests")
    one_of_them = _("source request")
    field_names = {
        "source": _("source"),
        "verdict": _("verdict"),
        "status": _("status"),
        "reason": _("reason"),
    }
    store_path = "source__store"
    export_columns = exported.SOURCE_REQUESTS.columns
    list_display = ["received", "source", "verdict_pill", "status", "reason"]
    list_select_related = ["source"]
    list_filter = ["verdict"]
    ordering = ["-id"]

    def get_urls(self) -> list[URLPattern]:
        return [
            self.route("source/<number:source>/live/", live_view, "live"),
            self.route("source/<number:source>/preview/", preview_view, "preview"),
            self.route("source/<number:source>/sample/", sample_view, "sample"),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[SourceRequest]:
        return super().get_queryset(request).filter(source__deleted_at=None).defer("body", "headers")

    @admin.display(description=_("received"))
    def received(self, row: SourceRequest) -> SafeString:
        return drawn("ago", row.received_at)

    @admin.display(description=_("verdict"))
    def verdict_pill(self, row: SourceRequest) -> SafeString:
        return drawn("pill", row.verdict)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        require(request, "deliveries.view_sourcerequest")
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404(gettext("This request does not exist. Only the last ones of each source are kept."))
        kind = next((value for name, value in row.headers if name == "content-type"), "")
        context = {"row": row, "source": row.source, "content_type": kind}
        title = gettext("Request to %(name)s") % {"name": row.source.name}
        return render(request, "admin/deliveries/source/request.html", title, context)


def last_requests(source: Source) -> list[SourceRequest]:
    return list(SourceRequest.objects.filter(source=source).defer("body", "headers").order_by("-id")[:SHOWN])


def live_view(request: HttpRequest, source: int) -> HttpResponse:
    """The fragment that turns green with the first request."""
    found = _open(request, source, "deliveries.view_sourcerequest")
    context = {"source": found, "requests": last_requests(found)}
    return TemplateResponse(request, "admin/deliveries/source/live.html", context)


@require_POST
def preview_view(request: HttpRequest, source: int) -> HttpResponse:
    """What the unsaved form would make of the last request, or of a sample. Changes nothing."""
    found = _open(request, source, "deliveries.view_sourcerequest")
    now = timezone.now()
    expressions, errors = {}, []
    for name in MAPPED:
        if text := request.POST.get(f"mapping_{name}", "").strip():
            try:
                expression_given(text)
            except ValueError as error:
                errors.append(f"{name}: {error}")
            expressions[name] = text
    row = latest_request(found)
    context: dict[str, Any] = {"errors": errors, "row": row}
    try:
        incoming = as_received(row, found) if row else sample_of(found, now)
        found.active_secrets(now)
    except DecryptionError:
        context["errors"] = [*errors, UNREADABLE]
        incoming = None
    if incoming is None:
        context["hint"] = gettext("No request has come in yet that could be shown here.")
    elif not errors:
        context["found"] = preview(
            source=found,
            request=incoming,
            expressions=expressions,
            is_record=request.POST.get("mode", found.mode) == Source.Mode.RECORD,
            now=now,
        )
    return TemplateResponse(request, "admin/deliveries/source/preview.html", context)


def sample_view(request: HttpRequest, source: int) -> HttpResponse:
    """GET shows a sample request and what it becomes; POST takes it in as if the sender had sent it."""
    found = _open(request, source, "integrations.change_source")
    now = timezone.now()
    try:
        incoming = sample_of(found, now)
    except DecryptionError:
        messages.error(request, UNREADABLE)
        return redirect("admin:integrations_source_change", source)
    except LookupError as unknown:
        messages.error(request, str(unknown))
        return redirect("admin:integrations_source_change", source)
    if incoming is None:
        messages.error(request, NO_SAMPLE)
        return redirect("admin:integrations_source_change", source)
    if request.method == "POST":
        _send(request, found, incoming)
        return redirect("admin:integrations_source_change", source)
    is_record = found.mode == Source.Mode.RECORD
    becomes = preview(source=found, request=incoming, expressions=found.mapping, is_record=is_record, now=now)
    context = {"source": found, "incoming": incoming, "body_text": incoming.body.decode(), "found": becomes}
    return render(
        request, "admin/deliveries/source/sample.html", gettext("Sample for %(name)s") % {"name": found.name}, context
    )


def _send(request: HttpRequest, source: Source, incoming: Incoming) -> None:
    try:
        with translation.override("en"):  # what is stored is the same for all readers
            answer = receive(source=source, request=incoming, hops=0, now=timezone.now())
    except Refused as error:
        text = gettext("The sample was refused with %(status)s: %(why)s")
        messages.error(request, text % {"status": error.status, "why": error.message})
    except TooMuchContention:
        messages.error(request, gettext("The same records are changing too quickly. Nothing was stored; try again."))
    else:
        messages.success(
            request, gettext("The sample was taken in and answered %(status)s.") % {"status": answer.status}
        )


def _open(request: HttpRequest, pk: int, permission: str) -> Source:
    require(request, permission)
    rows = Source.objects.alive().select_related("store").prefetch_related("counts")
    found: Source | None = visible_to(rows, request.user).filter(pk=pk).first()
    if found is None:
        raise Http404(gettext("This source does not exist. It may have been deleted."))
    return found
