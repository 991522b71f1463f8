"""`/api/v1/cases`: failures with one cause, and what staff and programs do with them (docs/contract.md#cases)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from deliveries.api.case_bodies import (
    AssignBodySerializer,
    CaseSerializer,
    CommentBodySerializer,
    CommentSerializer,
    MergeBodySerializer,
    SnoozeBodySerializer,
    SplitBodySerializer,
    TicketBodySerializer,
)
from deliveries.failures.case_rules import merge_cases, split_case
from deliveries.failures.cases import (
    CaseError,
    assign_case,
    comment_on_case,
    comments_of,
    merged_into,
    set_ticket,
    snooze_case,
    wake_case,
)
from deliveries.failures.groups import reopen_group, resolve_group
from deliveries.failures.people import staff_of
from deliveries.models import FailureGroup
from integrations.api.authentication import principal_of
from integrations.api.bodies import body_of, moment, text
from integrations.api.errors import APIError, invalid, not_found
from integrations.api.openapi import CURSOR, LIMIT, answers, page_of
from integrations.api.paging import LONGEST_QUERY_TEXT, page, query_text
from integrations.foundation.audit import Actor
from integrations.models import AccessToken

_ID = re.compile(r"(?:case_)?([1-9][0-9]{0,18})", re.ASCII)
LARGEST = 2**63 - 1  #: of the databases' numbers
RESOLVE = AccessToken.Scope.RESOLVE
VIEWS = ("open", "unassigned", "returned", "snoozed", "resolved", "all")
F = TypeVar("F", bound=Callable[..., Any])
_TEXT = {"type": "string", "maxLength": LONGEST_QUERY_TEXT}
CASE_FILTERS = [
    OpenApiParameter("view", str, enum=VIEWS, description="`open`, the default, leaves out the snoozed ones."),
    OpenApiParameter("assignee", _TEXT, description="A user's name."),
    OpenApiParameter("integration", _TEXT, description="A slug."),
]


def case_of(request: Request, case_id: str) -> FailureGroup:
    """Raises not_found, including for another store's."""
    found = _known(request, case_id)
    if found is None:
        raise not_found("case")
    return found


def _known(request: Request, case_id: str) -> FailureGroup | None:
    match = _ID.fullmatch(case_id)
    number = int(match[1]) if match else 0
    return _rows(request).filter(pk=number).first() if 0 < number <= LARGEST else None


def _rows(request: Request) -> QuerySet[FailureGroup]:
    mine = FailureGroup.objects.filter(store_id=principal_of(request).store_id)
    return mine.select_related("integration", "assignee")


class CasesView(APIView):
    @extend_schema(
        operation_id="list_cases",
        parameters=[*CASE_FILTERS, CURSOR, LIMIT],
        responses=answers(page_of(CaseSerializer, "Case"), more=(400,)),
    )
    def get(self, request: Request) -> Response:
        rows = cases_asked(request).select_related("integration", "assignee")
        return page(request, rows, lambda case: dict(CaseSerializer(case).data))


def cases_asked(request: Request) -> QuerySet[FailureGroup]:
    """Those that the filters of the query string choose. Raises parameter_invalid."""
    rows = _viewed(request)
    if assignee := query_text(request, "assignee"):
        rows = rows.filter(assignee__username=assignee)
    if slug := query_text(request, "integration"):
        rows = rows.filter(integration__slug=slug)
    return rows


def _viewed(request: Request) -> QuerySet[FailureGroup]:
    now = timezone.now()
    rows: Any = FailureGroup.objects.cases().filter(store_id=principal_of(request).store_id)
    view = query_text(request, "view") if "view" in request.query_params else "open"
    if view not in VIEWS:
        raise invalid(f"view must be one of {', '.join(VIEWS)}.", "view")
    found: QuerySet[FailureGroup] = {
        "open": rows.awake(now),
        "unassigned": rows.awake(now).filter(assignee=None),
        "returned": rows.open().filter(returned_at__isnull=False),
        "snoozed": rows.snoozed(now),
        "resolved": rows.filter(status=FailureGroup.Status.RESOLVED),
        "all": rows,
    }[view]
    return found


class CaseView(APIView):
    @extend_schema(operation_id="get_case", responses=answers(CaseSerializer, more=(404,)))
    def get(self, request: Request, case_id: str) -> Response:
        return Response(CaseSerializer(case_of(request, case_id)).data)


class CommentsView(APIView):
    change_scope = RESOLVE

    @extend_schema(
        operation_id="list_case_comments",
        parameters=[CURSOR, LIMIT],
        responses=answers(page_of(CommentSerializer, "Comment"), more=(404,)),
    )
    def get(self, request: Request, case_id: str) -> Response:
        rows = comments_of(case_of(request, case_id))
        return page(request, rows, lambda comment: dict(CommentSerializer(comment).data))

    @extend_schema(
        operation_id="comment_on_case",
        request=CommentBodySerializer,
        responses=answers(CommentSerializer, more=(400, 404, 409)),
    )
    def post(self, request: Request, case_id: str) -> Response:
        case, body = case_of(request, case_id), body_of(request)
        made = _tried(lambda: comment_on_case(case=case, text=text(body, "text"), actor=_actor(request)))
        return Response(CommentSerializer(made).data)


def _actor(request: Request) -> Actor:
    return Actor.of_principal(principal_of(request))


def _tried(run: Callable[[], Any]) -> Any:
    try:
        return run()
    except CaseError as error:
        if error.is_conflict:
            raise APIError(409, error.message) from None
        raise invalid(error.message, error.field or None) from None


def _action(name: str, body: type[serializers.Serializer[Any]] | None) -> Callable[[F], F]:
    """Describe a POST that changes a case and answers it."""
    return extend_schema(
        operation_id=name, request=body, responses=answers(CaseSerializer, more=(400, 404, 409) if body else (404, 409))
    )


class _ActionView(APIView):
    """Do something with a case; the answer is the case."""

    change_scope = RESOLVE

    def act(self, request: Request, case: FailureGroup, body: dict[str, Any]) -> Any:
        raise NotImplementedError

    def answer(self, request: Request, case_id: str) -> Response:
        case, body = case_of(request, case_id), body_of(request)
        _tried(lambda: self.act(request, case, body))
        return Response(CaseSerializer(case_of(request, case_id)).data)


class AssignView(_ActionView):
    @_action("assign_case", AssignBodySerializer)
    def post(self, request: Request, case_id: str) -> Response:
        return self.answer(request, case_id)

    def act(self, request: Request, case: FailureGroup, body: dict[str, Any]) -> Any:
        if "assignee" not in body:
            text(body, "assignee")
        name, person = text(body, "assignee", default="", limit=150), None
        if name:
            person = staff_of(case.store_id).filter(username=name).first()
            if person is None:
                raise invalid(f"There is no {name!r} among the staff who see cases of this store.", "assignee")
        note = text(body, "note", default="")
        assign_case(case=case, assignee=person, actor=_actor(request), note=note)


class SnoozeView(_ActionView):
    @_action("snooze_case", SnoozeBodySerializer)
    def post(self, request: Request, case_id: str) -> Response:
        return self.answer(request, case_id)

    def act(self, request: Request, case: FailureGroup, body: dict[str, Any]) -> Any:
        more = body.get("more")
        if more is not None and (isinstance(more, bool) or not isinstance(more, int)):
            raise invalid("more must be a whole number.", "more")
        snooze_case(case=case, actor=_actor(request), until=moment(body, "until"), more=more)


class WakeView(_ActionView):
    @_action("wake_case", None)
    def post(self, request: Request, case_id: str) -> Response:
        return self.answer(request, case_id)

    def act(self, request: Request, case: FailureGroup, body: dict[str, Any]) -> Any:
        wake_case(case=case, actor=_actor(request))


class TicketView(_ActionView):
    @_action("link_case_ticket", TicketBodySerializer)
    def post(self, request: Request, case_id: str) -> Response:
        return self.answer(request, case_id)

    def act(self, request: Request, case: FailureGroup, body: dict[str, Any]) -> Any:
        set_ticket(case=case, url=text(body, "url"), actor=_actor(request))


class MergeView(_ActionView):
    @_action("merge_case", MergeBodySerializer)
    def post(self, request: Request, case_id: str) -> Response:
        """The answer is the case that was merged, with `merged_into`."""
        return self.answer(request, case_id)

    def act(self, request: Request, case: FailureGroup, body: dict[str, Any]) -> Any:
        target = _known(request, text(body, "into", limit=50))
        if target is None:
            raise invalid("There is no such case in this store.", "into")
        merge_cases(source=case, target=target, actor=_actor(request))


class SplitView(APIView):
    change_scope = RESOLVE

    @extend_schema(
        operation_id="split_case",
        request=SplitBodySerializer,
        responses=answers(CaseSerializer, more=(400, 404, 409)),
    )
    def post(self, request: Request, case_id: str) -> Response:
        """The answer is the case that was split off."""
        case, body = case_of(request, case_id), body_of(request)
        field, operator, value = text(body, "field"), text(body, "operator"), text(body, "value", default="")
        rule = _tried(lambda: split_case(case=case, field=field, operator=operator, value=value, actor=_actor(request)))
        return Response(CaseSerializer(case_of(request, str(rule.target_id))).data)


class ResolveCaseView(_ActionView):
    @_action("resolve_case", None)
    def post(self, request: Request, case_id: str) -> Response:
        return self.answer(request, case_id)

    def act(self, request: Request, case: FailureGroup, body: dict[str, Any]) -> Any:
        resolve_group(group=case, actor=_actor(request))


class ReopenCaseView(_ActionView):
    @_action("reopen_case", None)
    def post(self, request: Request, case_id: str) -> Response:
        return self.answer(request, case_id)

    def act(self, request: Request, case: FailureGroup, body: dict[str, Any]) -> Any:
        if merged_into(case) is not None:
            raise CaseError("This case was merged into another. Reopen that one.", is_conflict=True)
        reopen_group(group=case, actor=_actor(request))
