"""Recipes and bulk fixes as the API takes and shows them (docs/contract.md#recipes)."""

from __future__ import annotations

from typing import Any, Final

from rest_framework import serializers

from deliveries.models import BulkFix, Recipe
from deliveries.recipes.keeping import CAP, DAYS, transform_of
from deliveries.recipes.rules import parse_rules
from deliveries.replay import outcome_of
from integrations.foundation.json_places import parse_place, spelled

ROWS: Final = 50
ROWS_LIMIT: Final = 200


class ScopeSerializer(serializers.Serializer[Any]):
    like = serializers.CharField(required=False, help_text="A delivery (dlv_…): all that fail as it does.")
    deliveries = serializers.ListField(child=serializers.CharField(), required=False, help_text="Ids (dlv_…).")
    filter = serializers.DictField(
        required=False, help_text="integration, subscription, topic, since, until, q: all failing ones that match."
    )
    field = serializers.CharField(help_text="shipping_address.phone, items[0].price, or a JSON Pointer.")
    rules = serializers.ListField(
        child=serializers.DictField(), help_text="In order; each with `rule` and its options."
    )


class PreviewBodySerializer(ScopeSerializer):
    limit = serializers.IntegerField(required=False, min_value=0, max_value=ROWS_LIMIT, default=ROWS)


class KeepSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(required=False, allow_blank=True)
    days = serializers.IntegerField(required=False, min_value=1, max_value=365, default=DAYS)
    daily_cap = serializers.IntegerField(required=False, min_value=1, max_value=10_000, default=CAP)
    approve_first = serializers.IntegerField(required=False, min_value=0, max_value=10_000, default=0)


class ApplyBodySerializer(ScopeSerializer):
    values = serializers.DictField(required=False, help_text="By object's or delivery's id; they win over the rules.")
    update_records = serializers.BooleanField(required=False, default=False)
    include_unlike = serializers.BooleanField(required=False, default=False)
    reason = serializers.CharField(required=False, allow_blank=True)
    propose = serializers.BooleanField(required=False, default=False, help_text="A person is to approve it first.")
    keep = KeepSerializer(required=False, help_text="Only with `like`: apply the rules to later failures too.")


class CountsSerializer(serializers.Serializer[Any]):
    fits = serializers.IntegerField()
    unlike = serializers.IntegerField(help_text="Unlike the values that arrived; sent only with include_unlike.")
    unchanged = serializers.IntegerField()
    breaks = serializers.IntegerField(help_text="A rule cannot be applied, or the result breaks the topic's schema.")


class RowSerializer(serializers.Serializer[Any]):
    delivery = serializers.CharField()
    object = serializers.CharField(allow_blank=True)
    value_now = serializers.JSONField(allow_null=True)
    value_after = serializers.JSONField(allow_null=True)
    verdict = serializers.ChoiceField(["fits", "unlike", "unchanged", "breaks"])
    why = serializers.CharField(allow_blank=True)


class PreviewSerializer(serializers.Serializer[Any]):
    counts = CountsSerializer()
    matching = serializers.IntegerField()
    checked = serializers.IntegerField(help_text="Fewer than `matching` beyond 10,000, or where checking takes long.")
    rows = RowSerializer(many=True)


class FixSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(source="public_id")
    status = serializers.SerializerMethodField(help_text="awaiting (approval), sent or rejected")
    field = serializers.SerializerMethodField()
    rules = serializers.ListField(child=serializers.DictField())
    total = serializers.IntegerField()
    counts = serializers.DictField()
    progress = serializers.SerializerMethodField()
    reason = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()
    sent_at = serializers.DateTimeField(allow_null=True)

    def get_status(self, fix: BulkFix) -> str:
        return str(BulkFix.Status.AWAITING if fix.status == BulkFix.Status.PROPOSED else fix.status)

    def get_field(self, fix: BulkFix) -> str:
        return spelled(parse_place(fix.place))

    def get_progress(self, fix: BulkFix) -> dict[str, int] | None:
        if fix.replay is None:
            return None
        outcome = outcome_of(fix.replay)
        return {
            "done": fix.replay.done,
            "succeeded": outcome.succeeded,
            "failed_again": outcome.failed_again,
            "under_way": outcome.under_way,
            "skipped": outcome.left_alone,
        }


class RefusedSerializer(serializers.Serializer[Any]):
    record = serializers.CharField()
    why = serializers.CharField()


class UndoneSerializer(serializers.Serializer[Any]):
    restored = serializers.IntegerField(help_text="Records that have their former values again.")
    refused = RefusedSerializer(many=True, help_text="Those that have changed since, and were left alone.")


class RecipeSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(source="public_id")
    name = serializers.CharField()
    integration = serializers.CharField(source="integration.slug")
    topic = serializers.CharField()
    field = serializers.SerializerMethodField()
    rules = serializers.ListField(child=serializers.DictField())
    sentences = serializers.SerializerMethodField()
    transform = serializers.SerializerMethodField(help_text="The same as JMESPath for the subscription, or null.")
    update_records = serializers.BooleanField(source="updates_records")
    is_active = serializers.BooleanField()
    off_reason = serializers.CharField(allow_blank=True)
    owner = serializers.CharField(source="owner_name")
    expires_at = serializers.DateTimeField()
    daily_cap = serializers.IntegerField()
    approve_first = serializers.IntegerField()
    uses = serializers.IntegerField()
    succeeded = serializers.IntegerField()
    failed_again = serializers.IntegerField()
    left_alone = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)

    def get_field(self, recipe: Recipe) -> str:
        return spelled(parse_place(recipe.place))

    def get_sentences(self, recipe: Recipe) -> list[str]:
        return [step.sentence for step in parse_rules(recipe.rules)]

    def get_transform(self, recipe: Recipe) -> str | None:
        return transform_of(recipe)


class AppliedSerializer(serializers.Serializer[Any]):
    fix = FixSerializer()
    recipes = RecipeSerializer(many=True)
