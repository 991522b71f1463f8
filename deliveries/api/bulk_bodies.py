"""Bodies of `/api/v1/bulk`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.db.models import Q
from rest_framework import serializers

from deliveries.api.recipe_serializers import KeepSerializer
from deliveries.models import BulkFix, Delivery, Proposal, Replay
from deliveries.replay import ReplayOutcome, outcome_of
from deliveries.replay.canary import STOP_ABOVE
from deliveries.replay.outcome import items_of
from deliveries.replay.service import MOST_PER_SECOND
from integrations.foundation.identifiers import public_id

SAMPLE: Final = 10
STATUSES: Final = ("planned", "awaiting", "rejected", "running", "paused", "stopped", "done", "cancelled")
#: A fix is the run of a recipe: the desk's table makes them too.
RECIPE: Final = "recipe"
PROPOSED_ACTIONS: Final = (
    Proposal.Action.RETRY,
    Proposal.Action.DISCARD,
    Proposal.Action.BACKFILL,
    Proposal.Action.FIX,
)
ACTIONS: Final = tuple(RECIPE if one == Proposal.Action.FIX else one.value for one in PROPOSED_ACTIONS)


class BulkBodySerializer(serializers.Serializer[Any]):
    action = serializers.ChoiceField(ACTIONS)
    filter = serializers.DictField(
        required=False,
        help_text="Those of the list of deliveries (status, integration, subscription, topic, since, until, q), group "
        "(a case) and ids (an array of dlv_…). Without a status: what has failed. Of a backfill: topic, since, until "
        "and q.",
    )
    subscription = serializers.CharField(required=False, help_text="Of a backfill: nsub_…")
    like = serializers.CharField(
        required=False, help_text="Of a recipe, in place of the filter: a delivery, for all with the same failure."
    )
    field = serializers.CharField(required=False, help_text="Of a recipe: shipping_address.phone, or a JSON Pointer.")
    rules = serializers.ListField(child=serializers.DictField(), required=False, help_text="Of a recipe.")
    values = serializers.DictField(required=False, help_text="Of a recipe: by object's or delivery's id; they win.")
    update_records = serializers.BooleanField(required=False, default=False, help_text="Of a recipe.")
    include_unlike = serializers.BooleanField(required=False, default=False, help_text="Of a recipe.")
    keep = KeepSerializer(required=False, help_text="Of a recipe, with like: for later failures too.")
    rate = serializers.IntegerField(required=False, min_value=1, max_value=MOST_PER_SECOND, help_text="Per second.")
    canary = serializers.BooleanField(
        required=False, help_text="1 first, then 10, then the rest; by default for more than 20. Not for discard."
    )
    stop_above = serializers.FloatField(
        required=False,
        min_value=0,
        max_value=0.99,
        default=STOP_ABOVE / 100,
        help_text="A canary stops when a greater part than this fails again.",
    )
    include_succeeded = serializers.BooleanField(
        required=False, default=False, help_text="Resend also what was delivered; backfill also what there was."
    )
    confirmed = serializers.IntegerField(
        required=False, help_text="How many are discarded that were not attempted yet, if the filter has such."
    )
    dry_run = serializers.BooleanField(required=False, default=False, help_text="Only say what it would do.")
    reason = serializers.CharField(required=False, allow_blank=True)
    propose = serializers.BooleanField(required=False, default=False, help_text="A person is to approve it first.")


class BulkSampleSerializer(serializers.Serializer[Any]):
    delivery = serializers.CharField(allow_null=True)
    event = serializers.CharField()
    topic = serializers.CharField(allow_null=True)
    object = serializers.CharField(allow_null=True)
    integration = serializers.CharField()
    status = serializers.CharField(allow_null=True)
    why = serializers.CharField(allow_blank=True)


class BulkSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(allow_null=True, help_text="blk_…; null for a dry run.")
    action = serializers.ChoiceField(ACTIONS)
    status = serializers.ChoiceField(STATUSES)
    total = serializers.IntegerField(help_text="Deliveries; of a backfill that runs, events to be looked at.")
    done = serializers.IntegerField()
    succeeded = serializers.IntegerField()
    failed_again = serializers.IntegerField()
    under_way = serializers.IntegerField()
    left_alone = serializers.IntegerField(help_text="Being sent, awaiting approval, or changed in the meantime.")
    counts = serializers.DictField(
        child=serializers.IntegerField(), help_text="Of a dry run: by status; of a backfill, by reason."
    )
    sample = BulkSampleSerializer(many=True, help_text="Some that it is about; of one that runs, that failed again.")
    stopped_because = serializers.CharField(allow_null=True)
    approval = serializers.CharField(allow_null=True, help_text="What it had to wait for: prop_…, or fix_….")
    fix = serializers.CharField(allow_null=True, help_text="Of a recipe: fix_…, whose records can be given back.")
    reason = serializers.CharField(allow_blank=True)
    created_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


_EMPTY: Final[dict[str, Any]] = {
    "id": None, "total": 0, "done": 0, "succeeded": 0, "failed_again": 0, "under_way": 0, "left_alone": 0, "counts": {},
    "sample": [], "stopped_because": None, "approval": None, "fix": None, "reason": "", "created_by": None,
    "created_at": None, "finished_at": None,
}  # fmt: skip


def shown(**values: Any) -> dict[str, Any]:
    """A bulk action as the API shows it; what is not given is empty."""
    return dict(BulkSerializer(_EMPTY | values).data)


def bulk_json(replay: Replay, *, has_sample: bool = True) -> dict[str, Any]:
    """One that was started."""
    outcome: ReplayOutcome = outcome_of(replay)
    fix = getattr(replay, "bulk_fix", None) if replay.action == Replay.Action.FIX else None
    mine = Q(replay=replay) if fix is None else Q(fix=fix)
    proposal = Proposal.objects.filter(mine).only("id").first()
    is_stopped = replay.status == Replay.Status.PAUSED and replay.stopped_because
    return shown(
        id=public_id("blk", replay.pk),
        action=named(replay.action),
        status="stopped" if is_stopped else replay.status,
        total=replay.total,
        done=replay.done,
        succeeded=outcome.succeeded,
        failed_again=outcome.failed_again,
        under_way=outcome.under_way,
        left_alone=outcome.left_alone,
        sample=_failed_again(replay) if has_sample and outcome.failed_again else [],
        stopped_because=replay.stopped_because or None,
        approval=proposal.public_id if proposal is not None else None,
        fix=None if fix is None else fix.public_id,
        reason=replay.reason,
        created_by=replay.created_by_name,
        created_at=replay.created_at,
        finished_at=replay.finished_at,
    )


def proposal_json(proposal: Proposal) -> dict[str, Any]:
    """One that waits, or was rejected: its id is that of the proposal until it runs."""
    return shown(
        id=public_id("blk", proposal.pk),
        action=named(proposal.action),
        status=proposal.status,
        total=proposal.total,
        approval=proposal.public_id,
        fix=None if proposal.fix is None else proposal.fix.public_id,
        reason=proposal.reason,
        created_by=proposal.author_name,
        created_at=proposal.created_at,
        finished_at=proposal.decided_at,
    )


def waiting_fix_json(fix: BulkFix) -> dict[str, Any]:
    """A recipe's run that the store lets a second person approve, or that they rejected."""
    is_rejected = fix.status == BulkFix.Status.REJECTED
    return shown(
        id=public_id("blk", fix.pk),
        action=RECIPE,
        status="rejected" if is_rejected else "awaiting",
        total=fix.total,
        counts=fix.counts,
        approval=fix.public_id,
        fix=fix.public_id,
        reason=fix.reason,
        created_by=fix.author_name,
        created_at=fix.created_at,
        finished_at=fix.decided_at,
    )


def named(action: str) -> str:
    """The API's word for the action of a replay or proposal."""
    return RECIPE if action == Replay.Action.FIX else action


def _failed_again(replay: Replay) -> list[dict[str, Any]]:
    rows = Delivery.objects.filter(id__in=items_of(replay.pk, is_left_alone=False))
    failing = rows.filter(status__in=(Delivery.Status.FAILED, Delivery.Status.RETRYING))
    return sample_of(failing.select_related("event", "integration").order_by("id")[:SAMPLE])


def sample_of(deliveries: Iterable[Delivery]) -> list[dict[str, Any]]:
    return [
        {
            "delivery": delivery.public_id,
            "event": delivery.event.public_id,
            "topic": delivery.event.topic,
            "object": delivery.event.object_id or None,
            "integration": delivery.integration.slug,
            "status": delivery.status,
            "why": delivery.last_error[:500],
        }
        for delivery in deliveries
    ]
