"""Tools that read. Each public method is one tool: its docstring is what the assistant is told, its parameters are
what it can give."""

from __future__ import annotations

from typing import Any, Final, Literal
from urllib.parse import parse_qs, urlsplit

from config.mcp_server.api import API

#: Items of a list: an assistant reads slowly, and pages are cheap.
LIMIT: Final = 20
#: Characters of a body in an answer; the desk has the whole.
BODY_LIMIT: Final = 4_000
ATTEMPTS: Final = 5


class Reading:
    """What an assistant may look at."""

    is_read_only = True

    def __init__(self, api: API) -> None:
        self._api = api

    def list_cases(
        self,
        view: Literal["open", "unassigned", "returned", "snoozed", "resolved", "all"] = "open",
        integration: str = "",
        cursor: str = "",
    ) -> dict[str, Any]:
        """Failures with one cause, newest first: what is broken now, how many deliveries fail, whose it is.
        `integration` is a slug. Begin here."""
        return self._list("cases", cursor, view=view, integration=integration)

    def get_case(self, case: str) -> dict[str, Any]:
        """One case (case_…) with its comments and some of the deliveries that fail in it."""
        return {
            "case": self._api.get(f"cases/{case}"),
            "comments": self._api.get(f"cases/{case}/comments", limit=LIMIT)["items"],
            "deliveries": self._api.get("deliveries", case=case, limit=5)["items"],
        }

    def list_deliveries(
        self,
        status: str = "",
        integration: str = "",
        subscription: str = "",
        topic: str = "",
        case: str = "",
        since: str = "",
        until: str = "",
        q: str = "",
        cursor: str = "",
    ) -> dict[str, Any]:
        """Deliveries, newest first. `status`: pending, sending, succeeded, retrying, failed, discarded, superseded,
        comma-separated. `topic`: exact or shipment.*. `since`, `until`: ISO 8601. `q`: an id of a delivery, event or
        object."""
        return self._list(
            "deliveries", cursor, status=status, integration=integration, subscription=subscription, topic=topic,
            case=case, since=since, until=until, q=q,
        )  # fmt: skip

    def get_delivery(self, delivery: str) -> dict[str, Any]:
        """One delivery (dlv_…): its payload, its last attempts, newest first, with request and response
        (credentials are masked, long bodies cut), and the payloads it was edited to."""
        attempts = self._api.get(f"deliveries/{delivery}/attempts", limit=ATTEMPTS, order="desc")
        return {
            "delivery": self._api.get(f"deliveries/{delivery}"),
            "attempts": [_cut(attempt) for attempt in attempts["items"]],
            "has_more_attempts": attempts["pages"]["next"] is not None,
            "revisions": self._api.get(f"deliveries/{delivery}/revisions", limit=LIMIT)["items"],
        }

    def search(
        self,
        q: str,
        kind: str = "",
        topic: str = "",
        status: str = "",
        integration: str = "",
        since: str = "",
        until: str = "",
        cursor: str = "",
    ) -> dict[str, Any]:
        """Deliveries, events and records by what is in them: a phone number, an e-mail address, an order number, part
        of an id, words of an error, or path:value. All words must occur. `kind`: delivery, event, record (several are
        comma-separated)."""
        answer: dict[str, Any] = self._api.get(
            "search", limit=LIMIT, cursor=cursor, q=q, kind=kind, topic=topic, status=status, integration=integration,
            since=since, until=until,
        )  # fmt: skip
        following = _cursor(answer["pages"]["next"])
        return {
            "items": answer["items"],
            "totals": answer.get("totals"),
            "notes": answer.get("notes"),
            "next_cursor": following,
        }

    def get_figures(self, integration: str, window: Literal["1h", "24h", "7d", "30d"] = "24h") -> dict[str, Any]:
        """What an integration (its slug) got and how fast: accepted, delivered, retried, failed, p50, p95 and p99."""
        return self._api.get(f"integrations/{integration}/stats", window=window)

    def simulate(
        self,
        subscription: str,
        filter: str | None = None,  # noqa: A002 - the contract's word
        transform: str | None = None,
        topics: list[str] | None = None,
        last: int = 200,
    ) -> dict[str, Any]:
        """What a change of a subscription (nsub_…) would do to its store's last events: newly matched, no longer
        matched, requests that differ, errors. Nothing is saved or sent. What is left out stays as it is."""
        changes = {"filter": filter, "transform": transform, "topics": topics}
        body = {name: value for name, value in changes.items() if value is not None}
        return self._api.simulate(subscription, {**body, "events": {"last": last}})

    def list_events(
        self,
        topic: str = "",
        object: str = "",  # noqa: A002 - the contract's word
        contains: str = "",
        undelivered: bool = False,
        since: str = "",
        until: str = "",
        cursor: str = "",
    ) -> dict[str, Any]:
        """Past events, newest first. `object`: the id of an object. `contains`: a text in the data, such as a phone
        number (of the last day, if no period is given; 31 days at most). `undelivered`: only those nobody got."""
        delivered = "false" if undelivered else ""
        return self._list(
            "events", cursor, topic=topic, object=object, contains=contains, delivered=delivered, since=since,
            until=until,
        )  # fmt: skip

    def get_event(self, event: str) -> dict[str, Any]:
        """One event (evt_…) with its data and the ids of its deliveries."""
        return self._api.get(f"events/{event}")

    def explain_event(self, event: str) -> dict[str, Any]:
        """Why an event (evt_…) was, or was not, delivered: a reason for each subscription."""
        return self._api.get(f"events/{event}/explain")

    def list_subscriptions(self) -> dict[str, Any]:
        """Which topics and intents go to which integration, with filters and transforms (JMESPath)."""
        return {"items": self._api.get("subscriptions")["items"]}

    def list_integrations(self, cursor: str = "") -> dict[str, Any]:
        """Where deliveries go. Credentials are masked."""
        return self._list("integrations", cursor)

    def list_topics(self, cursor: str = "") -> dict[str, Any]:
        """Topics with the JSON Schema of their data."""
        return self._list("topics", cursor)

    def list_notifications(self, status: Literal["open", "resolved"] = "open", cursor: str = "") -> dict[str, Any]:
        """What staff should know now."""
        return self._list("notifications", cursor, status=status)

    def list_recipes(self, cursor: str = "") -> dict[str, Any]:
        """Rules that are applied to later failures as they appear."""
        return self._list("recipes", cursor)

    def list_approvals(
        self, status: Literal["awaiting", "approved", "rejected"] = "awaiting", cursor: str = ""
    ) -> dict[str, Any]:
        """What waits for a person: edits, bulk fixes and proposals. Look here before you propose the same again."""
        return self._list("approvals", cursor, status=status)

    def get_approval(self, approval: str) -> dict[str, Any]:
        """What became of a proposal (prop_…): awaiting, approved or rejected, by whom and why."""
        return self._api.get(f"approvals/{approval}")

    def get_bulk_action(self, bulk: str) -> dict[str, Any]:
        """Progress of a bulk resend, discard or backfill (blk_…)."""
        return self._api.get(f"bulk/{bulk}")

    def preview_bulk_action(
        self,
        action: Literal["retry", "discard"],
        filter: dict[str, Any],  # noqa: A002 - the contract's word
    ) -> dict[str, Any]:
        """What a resend or discard of all that match would do, without doing it: how many, some of them. `filter`:
        status, integration, subscription, topic, since, until, q, group (a case), ids (an array)."""
        return self._api.preview("bulk", {"action": action, "filter": filter})

    def preview_backfill(
        self, subscription: str, since: str, until: str = "", topic: str = "", contains: str = ""
    ) -> dict[str, Any]:
        """Which past events a subscription (nsub_…) wants now and did not get, without sending them."""
        body = {"subscription": subscription, "since": since, "until": until, "topic": topic, "contains": contains}
        return self._api.preview("backfills/preview", {name: value for name, value in body.items() if value})

    def preview_fix(self, like: str, field: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
        """What rules make of one field of all deliveries that fail as `like` (dlv_…) does, without sending. `field`:
        shipping_address.phone. A rule: {"rule": "trim"}, {"rule": "prefix", "from": "0", "to": "+41"}, {"rule":
        "replace", "find": "a", "with": "b"}; others are strip, digits, pattern, map, pad, case, default, copy,
        convert, remove, expression."""
        return self._api.preview("recipes/preview", {"like": like, "field": field, "rules": rules, "limit": LIMIT})

    def _list(self, path: str, cursor: str, **query: Any) -> dict[str, Any]:
        answer = self._api.get(path, limit=LIMIT, cursor=cursor, **query)
        return {"items": answer["items"], "next_cursor": _cursor(answer["pages"]["next"])}


def _cursor(url: str | None) -> str | None:
    return parse_qs(urlsplit(url).query).get("cursor", [None])[0] if url else None


def _cut(attempt: dict[str, Any]) -> dict[str, Any]:
    for side in ("request", "response"):
        part = attempt.get(side)
        if part and isinstance(part.get("body"), str) and len(part["body"]) > BODY_LIMIT:
            part["body"] = f"{part['body'][:BODY_LIMIT]}… ({len(part['body']):,} characters)"
    return attempt
