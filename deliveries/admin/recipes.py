"""Admin of kept recipes: what they do, what they have done, and the switch."""

from __future__ import annotations

import uuid
from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from deliveries import exported
from deliveries.admin.access import render, require
from deliveries.models import Delivery, Recipe
from deliveries.recipes.keeping import USED_OFTEN, group_of, switch_off, transform_of
from deliveries.recipes.rules import RuleError, parse_rules
from integrations.admin.base import ReadOnlyAdmin
from integrations.foundation.audit import Actor
from integrations.foundation.json_places import PlaceError, as_spelled
from subscriptions.models import Subscription

LISTED: Final = 100
USES_SHOWN: Final = 25


@admin.register(Recipe)
class RecipeAdmin(ReadOnlyAdmin):
    stock_pages = ("changelist",)
    export_order = exported.RECIPES.order
    export_columns = exported.RECIPES.columns

    def export_rows(self, request: HttpRequest) -> QuerySet[Recipe]:
        return self.get_queryset(request)

    def get_urls(self) -> list[URLPattern]:
        return [
            self.route("<uuid:pk>/change/", self.recipe_page, "change"),
            self.route("<uuid:pk>/off/", self.off_view, "off"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        require(request, "deliveries.view_recipe")
        rows = self.get_queryset(request).select_related("store", "integration").order_by("-is_active", "-created_at")
        context = {"rows": [(one, as_spelled(one.place)) for one in rows[:LISTED]]}
        return render(request, "admin/deliveries/recipe/change_list.html", _("Recipes"), context)

    def recipe_page(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        require(request, "deliveries.view_recipe")
        recipe = self._recipe(request, pk)
        uses = list(recipe.met.order_by("-pk")[:USES_SHOWN])
        found = Delivery.objects.filter(id__in=[use.delivery_id for use in uses]).select_related("event")
        deliveries = {row.pk: row for row in found}
        # Kept in English: a reason of ours has a translation, a person's is shown as they wrote it.
        recipe.off_reason = _(recipe.off_reason)
        for use in uses:
            use.note = _(use.note)
        subscription = Subscription.objects.filter(
            deliveries__id__in=[use.delivery_id for use in uses[:1]], deleted_at=None
        ).first()
        context = {
            "recipe": recipe,
            "field": as_spelled(recipe.place),
            "sentences": _sentences(recipe),
            "group": group_of(recipe),
            "uses": [(use, deliveries.get(use.delivery_id)) for use in uses],
            "is_used_often": recipe.uses >= USED_OFTEN,
            "transform": _transform(recipe),
            "subscription": subscription,
        }
        return render(request, "admin/deliveries/recipe/change_form.html", recipe.name, context)

    @method_decorator(require_POST)
    def off_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        require(request, "deliveries.resolve_delivery")
        recipe = self._recipe(request, pk)
        if switch_off(recipe=recipe, actor=Actor.of_user(request.user), reason=request.POST.get("reason", "")[:500]):
            messages.success(request, _("Switched off. Later failures stay as they are."))
        else:
            messages.info(request, _("It was off already."))
        return redirect("admin:deliveries_recipe_change", pk)

    def _recipe(self, request: HttpRequest, pk: uuid.UUID) -> Recipe:
        found: Recipe = get_object_or_404(self.get_queryset(request).select_related("store", "integration"), pk=pk)
        return found


def _sentences(recipe: Recipe) -> list[str]:
    """What its rules do; nothing if they cannot be read: a page must not fail over what is in one row."""
    try:
        return [step.sentence for step in parse_rules(recipe.rules)]
    except RuleError:
        return []


def _transform(recipe: Recipe) -> str | None:
    try:
        return transform_of(recipe)
    except (RuleError, PlaceError):
        return None
