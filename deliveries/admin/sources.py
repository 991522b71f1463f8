"""What came in at sources: the last requests, live; what they would become under another mapping; a sample."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils import timezone
from django.views.decorators.http import require_POST

from deliveries.access import visible_to
from deliveries.admin.access import render, require
from deliveries.ingest.service import TooMuchContention
from deliveries.models import SourceRequest
from deliveries.sources.preview import as_received, latest_request, preview, sample_of
from deliveries.sources.receive import Refused, receive
from integrations.admin.base import ReadOnlyAdmin
from integrations.foundation.hooks import expression_given
from integrations.models import Source
from integrations.security.encryption import DecryptionError
from integrations.services.source_values import MAPPED
from integrations.sources.base import Incoming

SHOWN = 20
UNREADABLE = "This source's secrets cannot be decrypted: a key is missing from ENCRYPTION_KEYS."
NO_SAMPLE = "There is no secret yet that a sample could be proven with. Enter the sender's first."


@admin.register(SourceRequest)
class SourceRequestAdmin(ReadOnlyAdmin):
    """One request has a page; the list is on the page of its source."""

    store_path = "source__store"
    stock_pages: ClassVar[tuple[str, ...]] = ("change",)

    def get_urls(self) -> list[URLPattern]:
        return [
            self.route("source/<number:pk>/live/", live_view, "live"),
            self.route("source/<number:pk>/preview/", preview_view, "preview"),
            self.route("source/<number:pk>/sample/", sample_view, "sample"),
            *super().get_urls(),
        ]

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        require(request, "deliveries.view_sourcerequest")
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404("This request does not exist. Only the last ones of each source are kept.")
        kind = next((value for name, value in row.headers if name == "content-type"), "")
        context = {"row": row, "source": row.source, "content_type": kind}
        return render(request, "admin/deliveries/source/request.html", f"Request to {row.source.name}", context)


def last_requests(source: Source) -> list[SourceRequest]:
    return list(SourceRequest.objects.filter(source=source).defer("body", "headers").order_by("-id")[:SHOWN])


def live_view(request: HttpRequest, pk: int) -> HttpResponse:
    """The fragment that turns green with the first request."""
    source = _open(request, pk, "deliveries.view_sourcerequest")
    context = {"source": source, "requests": last_requests(source)}
    return TemplateResponse(request, "admin/deliveries/source/live.html", context)


@require_POST
def preview_view(request: HttpRequest, pk: int) -> HttpResponse:
    """What the unsaved form would make of the last request, or of a sample. Changes nothing."""
    source = _open(request, pk, "deliveries.view_sourcerequest")
    now = timezone.now()
    expressions, errors = {}, []
    for name in MAPPED:
        if text := request.POST.get(f"mapping_{name}", "").strip():
            try:
                expression_given(text)
            except ValueError as error:
                errors.append(f"{name}: {error}")
            expressions[name] = text
    row = latest_request(source)
    context: dict[str, Any] = {"errors": errors, "row": row}
    try:
        incoming = as_received(row, source) if row else sample_of(source, now)
        source.active_secrets(now)
    except DecryptionError:
        context["errors"] = [*errors, UNREADABLE]
        incoming = None
    if incoming is None:
        context["hint"] = "No request has come in yet that could be shown here."
    elif not errors:
        context["found"] = preview(
            source=source,
            request=incoming,
            expressions=expressions,
            is_record=request.POST.get("mode", source.mode) == Source.Mode.RECORD,
            now=now,
        )
    return TemplateResponse(request, "admin/deliveries/source/preview.html", context)


def sample_view(request: HttpRequest, pk: int) -> HttpResponse:
    """GET shows a sample request and what it becomes; POST takes it in as if the sender had sent it."""
    source = _open(request, pk, "integrations.change_source")
    now = timezone.now()
    try:
        incoming = sample_of(source, now)
    except DecryptionError:
        messages.error(request, UNREADABLE)
        return redirect("admin:integrations_source_change", pk)
    if incoming is None:
        messages.error(request, NO_SAMPLE)
        return redirect("admin:integrations_source_change", pk)
    if request.method == "POST":
        _send(request, source, incoming)
        return redirect("admin:integrations_source_change", pk)
    is_record = source.mode == Source.Mode.RECORD
    found = preview(source=source, request=incoming, expressions=source.mapping, is_record=is_record, now=now)
    context = {"source": source, "incoming": incoming, "body_text": incoming.body.decode(), "found": found}
    return render(request, "admin/deliveries/source/sample.html", f"Sample for {source.name}", context)


def _send(request: HttpRequest, source: Source, incoming: Incoming) -> None:
    try:
        answer = receive(source=source, request=incoming, hops=0, now=timezone.now())
    except Refused as error:
        messages.error(request, f"The sample was refused with {error.status}: {error.message}")
    except TooMuchContention:
        messages.error(request, "The same records are changing too quickly. Nothing was stored; try again.")
    else:
        messages.success(request, f"The sample was taken in and answered {answer.status}.")


def _open(request: HttpRequest, pk: int, permission: str) -> Source:
    require(request, permission)
    rows = Source.objects.alive().select_related("store").prefetch_related("counts")
    found: Source | None = visible_to(rows, request.user).filter(pk=pk).first()
    if found is None:
        raise Http404("This source does not exist. It may have been deleted.")
    return found
