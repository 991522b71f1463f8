"""The time machine in the desk: a change of a form runs over past events, and is saved from what it showed."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from deliveries.admin import simulation_items, simulation_saving
from deliveries.admin.access import render, require
from deliveries.admin.simulated_change import chosen_events, proposal_of
from deliveries.admin.simulation_texts import FIGURES, SECTIONS, as_typed, events_named, needed_to_see, percent_of
from deliveries.models import Simulation
from deliveries.simulation.choosing import DEFAULT, MOST, ChoiceError, EventChoice
from deliveries.simulation.service import SimulationError, cancel_simulation, differing, groups_of, start_simulation
from deliveries.simulation.targets import target_of
from integrations.admin.base import ReadOnlyAdmin
from integrations.admin.keys import parse_number, parse_uuid
from integrations.foundation.audit import Actor

LISTED = 100


@admin.register(Simulation)
class SimulationAdmin(ReadOnlyAdmin):
    list_title = gettext_lazy("Time machine")
    one_of_them = gettext_lazy("simulation")
    stock_pages = ("changelist",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Simulation]:
        return super().get_queryset(request).select_related("store")

    def get_urls(self) -> list[URLPattern]:
        return [
            self.route("of/subscription/<uuid:subscription>/", self._starter("subscription"), "of_subscription"),
            self.route("of/integration/<number:integration>/", self._starter("integration"), "of_integration"),
            self.route("of/topic/<number:topic>/", self._starter("topic"), "of_topic"),
            self.route("<uuid:pk>/change/", self.page_view, "change"),
            self.route("<uuid:pk>/live/", self.live_view, "live"),
            self.route("<uuid:pk>/cancel/", self.cancel_view, "cancel"),
            self.route("<uuid:pk>/again/", self.again_view, "again"),
            self.route("<uuid:pk>/group/", self.group_view, "group"),
            self.route("<uuid:pk>/item/<number:number>/", self.item_view, "item"),
            self.route("<uuid:pk>/save/", self.save_view, "save"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        require(request, "deliveries.view_simulation")
        rows = self.get_queryset(request).defer("proposed").order_by("-created_at")[:LISTED]
        context = {"rows": [(row, events_named(row)) for row in rows]}
        return render(request, "admin/deliveries/simulation/change_list.html", _("Time machine"), context)

    def _starter(self, kind: str) -> Callable[..., HttpResponse]:
        def view(request: HttpRequest, **keys: Any) -> HttpResponse:
            return self.start_view(request, kind, str(keys[kind]))

        return view

    @method_decorator(require_POST)
    def start_view(self, request: HttpRequest, kind: str, key: str) -> HttpResponse:
        """The form of a subscription, an integration or a topic, on the latest events; nothing is saved by it."""
        _require_to_see(request, kind)
        _require_to_start(request, kind)
        target, values, problem = proposal_of(request, kind, key)
        back = redirect(f"admin:{needed_to_see(kind)[0]}_{kind}_change", key)
        try:
            if problem:
                raise SimulationError(problem)
            found = start_simulation(
                target=target, values=values, choice=EventChoice(last=DEFAULT), actor=Actor.of_user(request.user)
            )
        except (SimulationError, ValidationError) as error:
            messages.error(request, _sentence(error))
            return back
        return redirect("admin:deliveries_simulation_change", found.pk)

    def page_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        simulation = self._open(request, pk)
        kept = simulation.events
        context = {
            **_progress(request, simulation),
            "changes": [(name, *map(_shown, each)) for name, each in simulation.changes.items() if len(each) == 2],
            "most": MOST,
            "last": kept.get("last", DEFAULT),
        }
        return render(request, "admin/deliveries/simulation/change_form.html", _("What would change"), context)

    def live_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        simulation = self._open(request, pk)
        context = _progress(request, simulation)
        response = TemplateResponse(request, "admin/deliveries/simulation/live.html", context)
        if simulation.is_over:
            response["X-Desk-Over"] = "1"
        return response

    @method_decorator(require_POST)
    def cancel_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        require(request, "deliveries.add_simulation")
        cancel_simulation(self._open(request, pk))
        return redirect("admin:deliveries_simulation_change", pk)

    @method_decorator(require_POST)
    def again_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """The same change on other events, beside what holds now."""
        simulation = self._open(request, pk)
        _require_to_start(request, simulation.kind)
        try:
            if (target := target_of(simulation)) is None:
                raise SimulationError(_("What this would change has been deleted."))
            choice = chosen_events(request, simulation.store)
            found = start_simulation(
                target=target, values=simulation.proposed, choice=choice, actor=Actor.of_user(request.user)
            )
        except (SimulationError, ChoiceError, ValidationError) as error:
            messages.error(request, _sentence(error))
            return redirect("admin:deliveries_simulation_change", pk)
        return redirect("admin:deliveries_simulation_change", found.pk)

    def group_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        simulation = self._open(request, pk)
        context = simulation_items.group_context(request, simulation)
        return render(request, "admin/deliveries/simulation/group.html", context["section"], context)

    def item_view(self, request: HttpRequest, pk: uuid.UUID, number: int) -> HttpResponse:
        simulation = self._open(request, pk)
        context = simulation_items.item_context(simulation, number, timezone.now())
        return render(request, "admin/deliveries/simulation/item.html", _("One event, both ways"), context)

    def save_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        simulation = self._open(request, pk)
        app, action = needed_to_see(simulation.kind)[0], simulation.kind
        require(request, f"{app}.change_{action}")
        return simulation_saving.save_view(request, simulation)

    def _open(self, request: HttpRequest, pk: uuid.UUID) -> Simulation:
        require(request, "deliveries.view_simulation")
        found = self.get_queryset(request).filter(pk=pk).first()
        if found is None:
            raise Http404(_("This simulation does not exist. Simulations are deleted after a week."))
        _require_to_see(request, found.kind)
        return found


def _require_to_see(request: HttpRequest, kind: str) -> None:
    """What a person may not see is not computed for them."""
    app, permission = needed_to_see(kind)
    for needed in ("deliveries.view_simulation", "deliveries.view_event", f"{app}.{permission}"):
        require(request, needed)


def _require_to_start(request: HttpRequest, kind: str) -> None:
    require(request, "deliveries.add_simulation")
    if kind == Simulation.Kind.INTEGRATION:
        # Its form is only for those who may change it: the host of a new URL is looked up.
        require(request, "integrations.change_integration")


def _progress(request: HttpRequest, simulation: Simulation) -> dict[str, Any]:
    counts = simulation.counts
    sections = []
    if simulation.is_over:
        for verdict, title, hint in SECTIONS:
            if counts.get(verdict):
                sections.append((verdict, title, hint, counts[verdict], groups_of(simulation, verdict)))
    app, _permission = needed_to_see(simulation.kind)
    may_save = request.user.has_perm(f"{app}.change_{simulation.kind}")
    may_resend = may_save and simulation.is_over and request.user.has_perm("deliveries.replay_delivery")
    address = _address_of_target(app, simulation)
    return {
        "simulation": simulation,
        "events": events_named(simulation),
        "percent": percent_of(simulation),
        "figures": [(verdict, word, counts[verdict]) for verdict, word in FIGURES.items() if counts.get(verdict)],
        "same": counts.get("same", 0),
        "unwanted": counts.get("unwanted", 0),
        "sections": sections,
        "may_save": may_save,
        "resent": differing(simulation).count() if may_resend and counts.get("changed") else 0,
        "target_url": address,
        "form_url": f"{address}{as_typed(simulation)}",
    }


def _address_of_target(app: str, simulation: Simulation) -> str:
    """Its page; the list, if it cannot be told which one it was."""
    is_number = simulation.kind != Simulation.Kind.SUBSCRIPTION
    key = parse_number(simulation.target_id) if is_number else parse_uuid(simulation.target_id)
    name = f"admin:{app}_{simulation.kind}"
    return reverse(f"{name}_changelist") if key is None else reverse(f"{name}_change", args=[key])


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def _sentence(error: Exception) -> str:
    return " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
