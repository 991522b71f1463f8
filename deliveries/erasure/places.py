"""The registry of all places that keep payloads, or what people wrote about them, in the order of their erasure.

A test holds it against the models: each field with text, JSON or bytes is in a place or, with a reason, in
`WITHOUT_PAYLOAD`. Later apps add theirs when they are loaded (`add_places`). Whoever keeps copies of payloads in
another form, such as a search index, connects to `hooks.payloads_erased` instead: it is told what was erased, in the
same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.contrib.sessions.models import Session
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from deliveries.erasure import events, rows
from deliveries.erasure.place import Place
from deliveries.models import (
    Attempt,
    BulkFix,
    BulkFixItem,
    CaseComment,
    CaseRule,
    Delivery,
    Erasure,
    Event,
    FailureGroup,
    IdempotencyKey,
    OperationalEvent,
    Proposal,
    Recipe,
    RecipeUse,
    Record,
    Replay,
    Revision,
    SavedView,
    Simulation,
    SimulationItem,
    SourceRequest,
)
from integrations.models import AuditEntry, Integration, LiftRequest, Source, TurnContext
from subscriptions.models import Subscription, SubscriptionVersion, Topic

_PLACES: list[Place] = [
    # First, with all that came of them.
    Place("event", _("Events"), Event, ("data", "object_id"), events.erase_events, is_by_store=True),
    Place(
        "revision",
        _("Edited payloads"),
        Revision,
        ("data", "patch", "reason"),
        events.erase_events_of_revisions,
        store="delivery__store",
        extra=("delivery_id",),
    ),
    Place("delivery", _("Last errors of deliveries"), Delivery, ("last_error",), rows.cut_texts, is_by_store=True),
    Place(
        "attempt",
        _("Attempts that hold it, of any event"),
        Attempt,
        (
            "url",
            "request_headers",
            "request_body",
            "response_headers",
            "response_body",
            "error_message",
            "summary",
        ),
        rows.erase_attempts,
        store="delivery__store",
        extra=("is_body_encrypted",),
        opaque=Q(is_body_encrypted=True),
        holds=rows.is_in_attempt,
    ),
    Place("record", _("Records"), Record, ("data", "external_id", "type"), rows.delete_rows),
    Place("idempotency_key", _("Answers to repeated pushes"), IdempotencyKey, ("key", "response"), rows.delete_rows),
    Place(
        "source_request",
        _("Requests kept of sources"),
        SourceRequest,
        ("query", "headers", "body", "reason"),
        rows.delete_rows,
        store="source__store",
    ),
    Place(
        "turn_context",
        _("Last contexts of chats"),
        TurnContext,
        ("actions",),
        rows.delete_rows,
        store="integration__store",
    ),
    Place("bulk_fix", _("Bulk fixes"), BulkFix, ("scope", "rules", "reason"), rows.erase_bulk_fixes),
    Place(
        "bulk_fix_item",
        _("Values in bulk fixes"),
        BulkFixItem,
        ("change", "note", "record_before", "record_after"),
        rows.delete_rows,
        store="fix__store",
    ),
    Place("recipe_use", _("Notes of recipes"), RecipeUse, ("note",), rows.cut_texts, store="recipe__store"),
    Place(
        "replay", _("Bulk resends and backfills"), Replay, ("filters", "reason", "stopped_because"), rows.cut_replays
    ),
    Place("case", _("Cases"), FailureGroup, ("message", "title", "ticket_url"), rows.cut_texts),
    Place("case_comment", _("Comments on cases"), CaseComment, ("text",), rows.cut_texts, store="case__store"),
    Place(
        "draft",
        _("Drafts of edits"),
        Session,
        ("session_data",),
        rows.forget_drafts,
        store="",
        opaque=~Q(session_data=""),  # packed
        holds=rows.is_in_drafts,
    ),
    Place(
        "proposal", _("Proposals of programs"), Proposal, ("values", "reason", "decision_reason"), rows.erase_proposals
    ),
    Place(
        "simulation",
        _("Changes tried on past events"),
        Simulation,
        ("changes", "events", "target_name", "stopped_because"),
        rows.delete_rows,
        opaque=Q(pk__isnull=False),  # what was proposed is encrypted
        holds=rows.is_in_simulation,
    ),
    Place(
        "simulation_item",
        _("Effects of changes tried on past events"),
        SimulationItem,
        ("kind",),
        rows.delete_rows,
        store="simulation__store",
    ),
    Place(
        "saved_search",
        _("Saved searches"),
        SavedView,
        ("name", "query"),
        rows.delete_rows,
        store="",
        opaque=Q(pk__isnull=False),  # an address escapes what was typed
        holds=rows.is_in_saved_search,
    ),
    Place("operational_event", _("Operational events to be published"), OperationalEvent, ("data",), rows.cut_texts),
    Place("lift_request", _("Requests about approval"), LiftRequest, ("reason",), rows.cut_texts),
    Place("erasure", _("Reasons of erasures"), Erasure, ("reason",), rows.cut_texts),
    Place(
        "audit_entry",
        _("Audit entries"),
        AuditEntry,
        ("before", "after", "target_name", "reason"),
        rows.erase_audit_values,
    ),
    # Configuration: staff decide what becomes of it.
    Place(
        "integration",
        _("Integrations"),
        Integration,
        ("name", "slug", "url", "headers", "additional_data", "disabled_reason", "handshake"),
        None,
    ),
    Place(
        "subscription",
        _("Subscriptions"),
        Subscription,
        ("topics", "intents", "event_names", "path", "filter", "transform", "inactive_reason"),
        None,
    ),
    Place(
        "subscription_version",
        _("Earlier versions of subscriptions"),
        SubscriptionVersion,
        ("topics", "intents", "event_names", "path", "filter", "transform"),
        None,
        store="subscription__store",
    ),
    Place("topic", _("Topics"), Topic, ("name", "description", "schema", "condition"), None),
    Place("source", _("Sources"), Source, ("name", "slug", "options", "mapping"), None),
    Place("recipe", _("Recipes"), Recipe, ("name", "topic", "place", "rules", "off_reason"), None),
    Place("case_rule", _("Rules of split cases"), CaseRule, ("field", "value"), None, store="source__store"),
]

_STAFF, _KEY = "a name of staff or of a program", "a key made by Hookdesk"
_CREDENTIAL = "an encrypted credential"
_INDEX = "the search index, which is told what was erased"
#: Fields with text, JSON or bytes that hold no payload, and why. By model (`app.model`) and field.
WITHOUT_PAYLOAD: Final[dict[str, dict[str, str]]] = {
    "deliveries.bulkfix": {
        "place": "the field that is corrected, not its value",
        "counts": "numbers",
        "author_name": _STAFF,
        "undone_by_name": _STAFF,
    },
    "deliveries.casecomment": {"author_name": _STAFF},
    "deliveries.caserule": {"author_name": _STAFF},
    "deliveries.bodysweep": {"integrations": "ids"},
    "deliveries.delivery": {
        "topic": "a topic is configuration",
        "order_key": "an object's id: emptied with the event's",
        "backfilled_by": _STAFF,
    },
    "deliveries.attempt": {"method": "an HTTP method", "error_kind": "one of few words"},
    "deliveries.deliverydocument": {"text": _INDEX, "topic": "a topic is configuration"},
    "deliveries.eventdocument": {"text": _INDEX, "topic": "a topic is configuration"},
    "deliveries.recorddocument": {"text": _INDEX, "topic": "a type is configuration"},
    "deliveries.searchpurge": {"topic": "a topic is configuration"},
    "deliveries.savedview": {"stores": "ids"},
    "deliveries.operationalevent": {"topic": "one of few words", "reference": _KEY},
    "deliveries.proposal": {"author_name": _STAFF, "decided_by_name": _STAFF},
    "deliveries.simulation": {
        "base": "a hash",
        "counts": "numbers",
        "created_by_name": _STAFF,
        "proposed": "encrypted: read row by row",
        "saved_by_name": _STAFF,
        "target_id": _KEY,
    },
    "deliveries.simulationitem": {"verdict": "one of few words"},
    "deliveries.engine": {"host": "the name of a host"},
    "deliveries.erasure": {
        "value": "encrypted, and emptied when the erasure is over",
        "place": "the name of a place",
        "cursor": "an id",
        "found": "numbers",
        "erased": "numbers",
        "author_name": _STAFF,
        "approved_by_name": _STAFF,
    },
    "deliveries.event": {
        "topic": "a topic is configuration",
        "intent": "an intent is configuration",
        "object_type": "a type is configuration",
        "traceparent": "ids of a trace",
    },
    "deliveries.failuregroup": {"kind": "one of few words", "fingerprint": "a hash"},
    "deliveries.idempotencykey": {"body_hash": "a hash"},
    "deliveries.recipe": {
        "kind": "one of few words",
        "fingerprint": "a hash",
        "owner_name": _STAFF,
        "off_by_name": _STAFF,
    },
    "deliveries.replay": {"created_by_name": _STAFF},
    "deliveries.revision": {"author_name": _STAFF},
    "deliveries.sourcekey": {"digest": "a hash"},
    "deliveries.sourcerequest": {"method": "an HTTP method", "events": "ids"},
    "integrations.accesstoken": {
        "name": _STAFF,
        "prefix": "part of a token",
        "token_hash": "a hash",
        "scopes": "words",
        "addresses": "networks of programs",
    },
    "integrations.auditentry": {
        "actor": _STAFF,
        "action": "one of few words",
        "target_type": "the name of a model",
        "target_id": _KEY,
    },
    "integrations.integration": {
        "connector": "a name of a connector",
        "wire_format": "a name of a format",
        "auth_header": "the name of a header",
        "token": _CREDENTIAL,
        "parameters": _CREDENTIAL,
        "retry_policy": "numbers",
        "permanent_statuses": "numbers",
    },
    "integrations.integrationhealth": {"recent": "words and numbers"},
    "integrations.liftrequest": {"asked_by_name": _STAFF, "decided_by_name": _STAFF},
    "integrations.secret": {"value": _CREDENTIAL},
    "integrations.source": {"kind": "a name of a kind"},
    "integrations.sourceaddress": {"token": _CREDENTIAL, "digest": "a hash"},
    "integrations.sourcesecret": {"value": _CREDENTIAL},
    "integrations.store": {"name": "the tenant's name", "singular_overrides": "words"},
    "subscriptions.subscription": {"parameters": _CREDENTIAL},
    "subscriptions.subscriptionversion": {"changed_by": _STAFF},
    "config.loginlimit": {"key": "a hash"},
}


def places() -> tuple[Place, ...]:
    return tuple(_PLACES)


def add_places(new: Iterable[Place], without_payload: dict[str, dict[str, str]]) -> None:
    """For the `AppConfig.ready` of later apps. Adding what is there changes nothing."""
    known = {place.name for place in _PLACES}
    _PLACES.extend(place for place in new if place.name not in known)
    WITHOUT_PAYLOAD.update(without_payload)


def place_named(name: str) -> Place:
    """Raises LookupError for a place that no longer exists."""
    for place in _PLACES:
        if place.name == name:
            return place
    raise LookupError(f"There is no place {name!r}.")
