"""`/api/v1/recipes` and `/api/v1/fixes`: the same fix for many deliveries, once or kept (docs/contract.md#recipes)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from deliveries.api.approvals import PROPOSED, proposed
from deliveries.api.recipe_serializers import (
    ROWS,
    ROWS_LIMIT,
    AppliedSerializer,
    ApplyBodySerializer,
    FixSerializer,
    PreviewBodySerializer,
    PreviewSerializer,
    RecipeSerializer,
    UndoneSerializer,
)
from deliveries.api.views import as_api_error
from deliveries.filters import FilterError
from deliveries.models import BulkFix, Proposal, Recipe
from deliveries.proposals import propose_fix, refuse_more
from deliveries.recipes.keeping import CAP, DAYS, check_limits, switch_off
from deliveries.recipes.plan import Row
from deliveries.recipes.requests import check_may_keep, keep_after, request_fix, request_preview, scope_of
from deliveries.recipes.rules import RuleError
from deliveries.recipes.undoing import undo_records
from deliveries.resolution import ResolutionError
from integrations.api.authentication import principal_of, wants_proposal
from integrations.api.bodies import body_of, boolean, mapping, text
from integrations.api.errors import APIError, invalid, not_found
from integrations.api.openapi import CURSOR, LIMIT, answers, page_of
from integrations.api.paging import page
from integrations.foundation.audit import Actor
from integrations.foundation.identifiers import parse_public_id, public_id
from integrations.foundation.json_places import MISSING, PlaceError
from integrations.models import AccessToken, Store

RESOLVE = AccessToken.Scope.RESOLVE


def _store(request: Request) -> Store:
    return Store.objects.get(pk=principal_of(request).store_id)


def as_recipe_error(error: Exception) -> APIError:
    """What the services refuse, with the field of the body."""
    if isinstance(error, RuleError):
        place = "rules" if error.position is None else f"rules[{error.position}]"
        return invalid(error.message, f"{place}.{error.option}" if error.option else place)
    if isinstance(error, FilterError):
        return invalid(error.message, error.field)
    if isinstance(error, PlaceError):
        return invalid(str(error), "field")
    assert isinstance(error, ResolutionError)
    if error.code == "invalid":
        return invalid(error.message, error.path or "field")
    return as_api_error(error)


REFUSALS = (RuleError, FilterError, PlaceError, ResolutionError)


def rules_of(body: dict[str, Any]) -> list[Any]:
    rules = body.get("rules", [])
    if not isinstance(rules, list):
        raise invalid("rules must be an array of objects.", "rules")
    return rules


def _number(body: dict[str, Any], field: str, default: int, *, largest: int, smallest: int = 0) -> int:
    value = body.get(field)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not smallest <= value <= largest:
        raise invalid(f"{field} must be a whole number from {smallest} to {largest}.", field)
    return value


class PreviewView(APIView):
    change_scope = AccessToken.Scope.READ

    @extend_schema(operation_id="preview_recipe", request=PreviewBodySerializer, responses=answers(PreviewSerializer))
    def post(self, request: Request) -> Response:
        body, store = body_of(request), _store(request)
        limit = _number(body, "limit", ROWS, largest=ROWS_LIMIT)
        try:
            scope = scope_of(body, store)
            plan = request_preview(
                scope=scope, store=store, field=text(body, "field"), rules=rules_of(body), limit=limit
            )
        except REFUSALS as error:
            raise as_recipe_error(error) from None
        rows = [_row(row) for row in plan.rows]
        shown = {"counts": plan.counts, "matching": plan.matching, "checked": plan.reached, "rows": rows}
        return Response(shown)


def _row(row: Row) -> dict[str, Any]:
    return {
        "delivery": public_id("dlv", row.member.delivery_id),
        "object": row.member.object_id,
        "value_now": None if row.before is MISSING else row.before,
        "value_after": None if row.after is MISSING else row.after,
        "verdict": row.verdict,
        "why": row.why,
    }


class ApplyView(APIView):
    change_scope = RESOLVE
    is_proposable = True

    @extend_schema(
        operation_id="apply_recipe",
        request=ApplyBodySerializer,
        responses=answers(AppliedSerializer, more=(400, 404, 409)) | PROPOSED,
    )
    def post(self, request: Request) -> Response:
        """202 and an approval, if it was proposed."""
        body, store = body_of(request), _store(request)
        try:
            done = apply_rules(request, body, scope_of(body, store), store)
        except REFUSALS as error:
            raise as_recipe_error(error) from None
        if done.proposal is not None:
            return proposed(done.proposal)
        recipes = RecipeSerializer(done.recipes, many=True).data
        return Response({"fix": FixSerializer(done.fix).data, "recipes": recipes})


@dataclass(frozen=True, slots=True)
class Applied:
    """The fix, what was kept of it, and the proposal if it was only proposed."""

    fix: BulkFix
    recipes: Sequence[Recipe] = ()
    proposal: Proposal | None = None


def apply_rules(request: Request, body: dict[str, Any], scope: dict[str, Any], store: Store) -> Applied:
    """Send what fits of the scope, or propose to. Raises APIError and `REFUSALS`."""
    is_proposal = wants_proposal(request, body)
    actor = Actor.of_principal(principal_of(request))
    keep = _kept(body)
    if keep is not None and "group" not in scope:
        raise invalid("keep needs like: the failures that the rules are kept for.", "keep")
    if keep is not None:
        check_may_keep(scope=scope, store=store, rules=rules_of(body))
    if is_proposal:
        refuse_more(store)
    fix = request_fix(
        scope=scope,
        store=store,
        field=text(body, "field"),
        rules=rules_of(body),
        actor=actor,
        values=mapping(body, "values", default={}),
        updates_records=boolean(body, "update_records", default=False),
        includes_unlike=boolean(body, "include_unlike", default=False),
        reason=text(body, "reason", default=""),
        is_proposal=is_proposal,
    )
    if is_proposal:
        return Applied(fix, proposal=propose_fix(fix=fix, actor=actor, keep=keep))
    return Applied(fix, keep_after(fix=fix, actor=actor, **keep) if keep is not None else ())


def _kept(body: dict[str, Any]) -> dict[str, Any] | None:
    """The arguments of `keep_after`, if the rules are to be kept."""
    if body.get("keep") is None:
        return None
    keep = mapping(body, "keep")
    limits = {
        "days": _number(keep, "days", DAYS, largest=365, smallest=1),
        "daily_cap": _number(keep, "daily_cap", CAP, largest=10_000, smallest=1),
        "approve_first": _number(keep, "approve_first", 0, largest=10_000),
    }
    check_limits(**limits)
    return {**limits, "name": text(keep, "name", default="", limit=200)}


class FixesView(APIView):
    @extend_schema(
        operation_id="list_fixes", parameters=[CURSOR, LIMIT], responses=answers(page_of(FixSerializer, "Fix"))
    )
    def get(self, request: Request) -> Response:
        return page(request, _fixes(request), FixSerializer().to_representation, by=("created_at", "id"))


class FixView(APIView):
    @extend_schema(operation_id="get_fix", responses=answers(FixSerializer, more=(404,)))
    def get(self, request: Request, fix_id: str) -> Response:
        return Response(FixSerializer(_fix(request, fix_id)).data)


class UndoFixView(APIView):
    change_scope = RESOLVE

    @extend_schema(operation_id="undo_fix", request=None, responses=answers(UndoneSerializer, more=(404, 409)))
    def post(self, request: Request, fix_id: str) -> Response:
        """Give the records that it updated their former values. What was sent stays sent."""
        fix, actor = _fix(request, fix_id), Actor.of_principal(principal_of(request))
        try:
            done = undo_records(fix=fix, actor=actor, reason=text(body_of(request), "reason", default="", limit=500))
        except ResolutionError as error:
            raise as_api_error(error) from None
        refused = [{"record": name, "why": why} for name, why in done.refused]
        return Response({"restored": done.restored, "refused": refused})


def _fixes(request: Request) -> QuerySet[BulkFix]:
    mine = BulkFix.objects.filter(store_id=principal_of(request).store_id).exclude(status=BulkFix.Status.DRAFT)
    return mine.select_related("replay")


def _fix(request: Request, fix_id: str) -> BulkFix:
    wanted = parse_public_id("fix", fix_id)
    found = _fixes(request).filter(id=wanted).first() if wanted else None
    if found is None:
        raise not_found("fix")
    return found


class RecipesView(APIView):
    @extend_schema(
        operation_id="list_recipes", parameters=[CURSOR, LIMIT], responses=answers(page_of(RecipeSerializer, "Recipe"))
    )
    def get(self, request: Request) -> Response:
        rows = Recipe.objects.filter(store_id=principal_of(request).store_id).select_related("integration")
        return page(request, rows, RecipeSerializer().to_representation, by=("created_at", "id"))


class RecipeView(APIView):
    @extend_schema(operation_id="get_recipe", responses=answers(RecipeSerializer, more=(404,)))
    def get(self, request: Request, recipe_id: str) -> Response:
        return Response(RecipeSerializer(_recipe(request, recipe_id)).data)


class RecipeOffView(APIView):
    change_scope = RESOLVE

    @extend_schema(operation_id="switch_off_recipe", request=None, responses=answers(RecipeSerializer, more=(404,)))
    def post(self, request: Request, recipe_id: str) -> Response:
        recipe = _recipe(request, recipe_id)
        reason = text(body_of(request), "reason", default="", limit=500)
        switch_off(recipe=recipe, actor=Actor.of_principal(principal_of(request)), reason=reason)
        return Response(RecipeSerializer(recipe).data)


def _recipe(request: Request, recipe_id: str) -> Recipe:
    wanted = parse_public_id("rcp", recipe_id)
    mine = Recipe.objects.filter(store_id=principal_of(request).store_id).select_related("integration")
    found = mine.filter(id=wanted).first() if wanted else None
    if found is None:
        raise not_found("recipe")
    return found
