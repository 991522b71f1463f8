"""Tools that propose. Each public method is one tool. Nothing of it is sent until a person approves it in the desk."""

from __future__ import annotations

from typing import Any, Literal

from config.mcp_server.api import API


class Proposing:
    """What an assistant may ask a person for. `reason` is what that person reads."""

    is_read_only = False

    def __init__(self, api: API) -> None:
        self._api = api

    def propose_edit(
        self, delivery: str, payload: dict[str, Any], reason: str, update_record: bool = False
    ) -> dict[str, Any]:
        """Propose to send another payload: the whole corrected data of one delivery (dlv_…), before the transform.
        `update_record`: correct the store's record too. A person sees the difference and decides."""
        body = {"action": "edit", "payload": payload, "reason": reason, "update_record": update_record}
        return self._api.propose(f"deliveries/{delivery}/resolve", body)

    def propose_resend(self, delivery: str, reason: str) -> dict[str, Any]:
        """Propose to send one delivery (dlv_…) again as it is."""
        return self._api.propose(f"deliveries/{delivery}/resolve", {"action": "retry", "reason": reason})

    def propose_discard(self, delivery: str, reason: str) -> dict[str, Any]:
        """Propose to give one delivery (dlv_…) up: resolved without sending."""
        return self._api.propose(f"deliveries/{delivery}/resolve", {"action": "discard", "reason": reason})

    def propose_bulk_action(
        self,
        action: Literal["retry", "discard"],
        filter: dict[str, Any],  # noqa: A002 - the contract's word
        reason: str,
        rate: int | None = None,
    ) -> dict[str, Any]:
        """Propose to resend or discard all that match; see preview_bulk_action first. `rate`: deliveries a second."""
        body = {"action": action, "filter": filter, "reason": reason, "rate": rate}
        return self._api.propose("bulk", body)

    def propose_fix(
        self,
        like: str,
        field: str,
        rules: list[dict[str, Any]],
        reason: str,
        keep_days: int | None = None,
        update_records: bool = False,
    ) -> dict[str, Any]:
        """Propose to correct one field of all deliveries that fail as `like` (dlv_…) does, and send them; see
        preview_fix first. With `keep_days` the rules are to be kept for later failures of the same kind: a recipe."""
        body = {"like": like, "field": field, "rules": rules, "reason": reason, "update_records": update_records}
        if keep_days is not None:
            body["keep"] = {"days": keep_days}
        return self._api.propose("recipes/apply", body)

    def propose_backfill(
        self, subscription: str, since: str, reason: str, until: str = "", topic: str = "", contains: str = ""
    ) -> dict[str, Any]:
        """Propose to deliver what a subscription (nsub_…) has missed since then; see preview_backfill first."""
        body = {"subscription": subscription, "since": since, "until": until, "topic": topic, "contains": contains}
        given = {name: value for name, value in body.items() if value}
        return self._api.propose("backfills", given | {"reason": reason})

    def propose_delivery(self, event: str, subscription: str, reason: str, again: bool = False) -> dict[str, Any]:
        """Propose to deliver one past event (evt_…) to a subscription (nsub_…), whatever its filter says."""
        body = {"subscription": subscription, "reason": reason, "again": again}
        return self._api.propose(f"events/{event}/deliver", body)
