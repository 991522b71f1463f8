"""Access checks at the start of every view of a delivery: user, permission, store."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from deliveries.access import visible_to
from deliveries.models import Delivery


def require(request: HttpRequest, permission: str) -> None:
    """Checked by each view: a page opened before a permission was revoked can no longer change anything."""
    if not request.user.has_perm(permission):
        raise PermissionDenied(permission)


def open_delivery(request: HttpRequest, pk: uuid.UUID, permission: str = "deliveries.view_delivery") -> Delivery:
    """The delivery with what its pages need. Another store's is reported as not found rather than forbidden."""
    require(request, permission)
    rows = Delivery.objects.select_related(
        "event", "store", "integration__health", "integration__store", "subscription"
    )
    found = visible_to(rows, request.user).filter(pk=pk).first()
    if found is None:
        raise Http404(_("This delivery does not exist. It may have been pruned."))
    return found


def render(request: HttpRequest, template: str, title: str, context: dict[str, Any]) -> TemplateResponse:
    """Render a page of the desk."""
    frame = admin.site.each_context(request)
    return TemplateResponse(request, template, {**frame, "title": title, **context})
