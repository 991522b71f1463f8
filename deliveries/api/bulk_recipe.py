"""The action `recipe` of `/api/v1/bulk`: what `/recipes/apply` does, in the shape of the other bulk actions."""

from __future__ import annotations

import json
from typing import Any, Final

from rest_framework.request import Request

from deliveries.api.bulk_bodies import RECIPE, SAMPLE, bulk_json, proposal_json, sample_of, shown, waiting_fix_json
from deliveries.api.bulk_requests import filters_of
from deliveries.api.recipes import REFUSALS, apply_rules, as_recipe_error, rules_of
from deliveries.filters import FilterError
from deliveries.models import Delivery
from deliveries.recipes.members import IDS, clean_scope
from deliveries.recipes.plan import Row
from deliveries.recipes.requests import LIKE, request_preview, scope_of
from integrations.api.authentication import principal_of
from integrations.api.bodies import boolean, text
from integrations.api.errors import invalid
from integrations.foundation.identifiers import parse_public_id
from integrations.foundation.json_places import MISSING
from integrations.models import Store

#: A fix has its own pace, so that one that waits for approval keeps none.
_PACE: Final = ("rate", "canary", "stop_above", "confirmed", "include_succeeded")
VALUE_SHOWN: Final = 200


def run_recipe(request: Request, _action: str, body: dict[str, Any], is_plan: bool) -> dict[str, Any]:
    """Raises APIError, and FilterError by the name of a filter."""
    store = Store.objects.get(pk=principal_of(request).store_id)
    for name in _PACE:
        if body.get(name) is not None and body[name] is not False:
            raise invalid(f"{name} is not for recipes: 200 a second, and with a canary if they are more than 20.", name)
    scope = _scope(body, store)
    try:
        if is_plan:
            return _planned(body, scope, store)
        done = apply_rules(request, body, scope, store)
    except REFUSALS as error:
        raise as_recipe_error(error) from None
    if done.proposal is not None:
        return proposal_json(done.proposal)
    return waiting_fix_json(done.fix) if done.fix.replay is None else bulk_json(done.fix.replay)


def _scope(body: dict[str, Any], store: Store) -> dict[str, Any]:
    if body.get(LIKE) is not None:
        if body.get("filter"):
            raise invalid("Give like or filter, not both.", LIKE)
        try:
            return scope_of({LIKE: body[LIKE]}, store)
        except FilterError as error:
            raise invalid(error.message, error.field) from None
    filters = filters_of(body, store)
    if not filters:
        raise FilterError("ids", "Say which deliveries: by like, or by at least one filter.")
    if "status" in filters:
        raise FilterError("status", "A recipe is for what fails, so it takes no status.")
    if IDS not in filters:
        return clean_scope(filters)
    if len(filters) > 1:
        raise FilterError(IDS, "ids stand alone, without other filters.")
    written = filters[IDS] if isinstance(filters[IDS], list) else filters[IDS].split(",")
    ids = [parse_public_id("dlv", one) for one in written]
    if None in ids:
        raise FilterError(IDS, "One of the ids is not the id of a delivery (dlv_…).")
    return clean_scope({IDS: [str(one) for one in ids]})


def _planned(body: dict[str, Any], scope: dict[str, Any], store: Store) -> dict[str, Any]:
    plan = request_preview(scope=scope, store=store, field=text(body, "field"), rules=rules_of(body), limit=SAMPLE)
    sent = plan.counts["fits"]
    if boolean(body, "include_unlike", default=False):
        sent += plan.counts["unlike"]
    counts: dict[str, int] = {str(name): count for name, count in plan.counts.items()}
    if plan.matching > plan.reached:
        counts["unchecked"] = plan.matching - plan.reached
    return shown(
        action=RECIPE,
        status="planned",
        total=sent,
        left_alone=plan.reached - sent,
        counts=counts,
        sample=_sample(plan.rows),
    )


def _sample(rows: list[Row]) -> list[dict[str, Any]]:
    """With what becomes of each in place of why it failed."""
    by_id = Delivery.objects.select_related("event", "integration").in_bulk([row.member.delivery_id for row in rows])
    known = [(by_id[row.member.delivery_id], row) for row in rows if row.member.delivery_id in by_id]
    shown_ones = sample_of(delivery for delivery, _ in known)
    return [one | {"why": _outcome(row)} for one, (_, row) in zip(shown_ones, known, strict=True)]


def _outcome(row: Row) -> str:
    if row.verdict in ("breaks", "unchanged"):
        return f"{row.verdict}: {row.why}" if row.why else row.verdict
    change = f"{row.verdict}: {_text(row.before)} becomes {_text(row.after)}"
    return f"{change}. {row.why}" if row.why else change


def _text(value: Any) -> str:
    return "nothing" if value is MISSING else json.dumps(value, ensure_ascii=False)[:VALUE_SHOWN]
