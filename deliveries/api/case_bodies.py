"""Bodies of `/api/v1/cases`."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from rest_framework import serializers

from deliveries.failures.cases import merged_into
from deliveries.models import CaseComment, CaseRule, FailureGroup
from deliveries.stats.queries import with_failing


class CaseSerializer(serializers.Serializer[FailureGroup]):
    id = serializers.CharField(source="public_id", help_text="case_…")
    status = serializers.ChoiceField(FailureGroup.Status.values)
    title = serializers.CharField(source="headline")
    message = serializers.CharField(help_text="The latest failure's.")
    kind = serializers.CharField()
    integration = serializers.CharField(source="integration.slug")
    failing = serializers.SerializerMethodField(help_text="Deliveries that fail now, counted to 1,001.")
    occurrences = serializers.IntegerField(help_text="Failed attempts since it was first seen.")
    assignee = serializers.SerializerMethodField(help_text="A user's name, or null.")
    ticket = serializers.SerializerMethodField(help_text="An https address, or null.")
    snoozed = serializers.SerializerMethodField(help_text="Whether nobody is notified for now.")
    snoozed_until = serializers.DateTimeField(allow_null=True)
    snoozed_more = serializers.SerializerMethodField(help_text="How many more failures end the snooze, or null.")
    returned_at = serializers.DateTimeField(allow_null=True, help_text="When it came back after it was resolved.")
    return_count = serializers.IntegerField()
    first_seen_at = serializers.DateTimeField(source="first_seen")
    opened_at = serializers.DateTimeField(source="first_at")
    last_seen_at = serializers.DateTimeField(source="last_at")
    resolved_at = serializers.DateTimeField(allow_null=True)
    merged_into = serializers.SerializerMethodField(help_text="The case that it was merged into, or null.")

    def get_failing(self, case: FailureGroup) -> int:
        return int(with_failing([case])[0].failing)  # type: ignore[attr-defined]  # set there

    def get_assignee(self, case: FailureGroup) -> str | None:
        return case.assignee.get_username() if case.assignee else None

    def get_ticket(self, case: FailureGroup) -> str | None:
        return case.ticket_url or None

    def get_snoozed(self, case: FailureGroup) -> bool:
        return case.is_snoozed_at(timezone.now())

    def get_snoozed_more(self, case: FailureGroup) -> int | None:
        return case.failures_to_wake if case.snoozed_to_count is not None else None

    def get_merged_into(self, case: FailureGroup) -> str | None:
        into = merged_into(case)
        return into.public_id if into is not None else None


class CommentSerializer(serializers.Serializer[CaseComment]):
    author = serializers.CharField(source="author_name")
    text = serializers.CharField()
    created_at = serializers.DateTimeField()


class AssignBodySerializer(serializers.Serializer[Any]):
    assignee = serializers.CharField(allow_null=True, help_text="A user's name; null: nobody.")
    note = serializers.CharField(required=False, help_text="Becomes a comment.")


class CommentBodySerializer(serializers.Serializer[Any]):
    text = serializers.CharField(max_length=10_000)


class SnoozeBodySerializer(serializers.Serializer[Any]):
    until = serializers.DateTimeField(required=False, help_text="ISO 8601, at most a year away.")
    more = serializers.IntegerField(required=False, min_value=1, max_value=1_000_000)


class TicketBodySerializer(serializers.Serializer[Any]):
    url = serializers.CharField(help_text="https only; empty: none.")


class MergeBodySerializer(serializers.Serializer[Any]):
    into = serializers.CharField(help_text="case_… of the same integration.")


class SplitBodySerializer(serializers.Serializer[Any]):
    field = serializers.CharField(help_text="A path inside the payload, or error.")
    operator = serializers.ChoiceField(CaseRule.Operator.values)
    value = serializers.CharField(required=False)
