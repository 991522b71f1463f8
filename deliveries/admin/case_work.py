"""What staff do with a case on its page, and its history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from deliveries.failures.case_rules import merge_cases, remove_rule, rules_of, split_case
from deliveries.failures.cases import (
    CaseError,
    assign_case,
    audits_of,
    comment_on_case,
    comments_of,
    set_ticket,
    snooze_case,
    wake_case,
)
from deliveries.failures.people import REPAIRS, managers_of, staff_of
from deliveries.failures.trend import trends
from deliveries.models import CaseRule, FailureGroup
from integrations.admin.keys import LARGEST, parse_number
from integrations.foundation.audit import Actor
from integrations.models import AuditEntry

LISTED = 200
#: Cases that a merge offers, and people that a case can be given to.
OFFERED = 200
#: The week on a case's page: 28 bars of six hours.
WEEK = {"bars": 28, "hours": 6}
SNOOZES = {"1h": timedelta(hours=1), "4h": timedelta(hours=4), "1d": timedelta(days=1), "7d": timedelta(days=7)}


@dataclass(frozen=True)
class Entry:
    """One line of a case's history: a comment has `text`, everything else says `what` was done."""

    at: datetime
    who: str
    what: str = ""
    text: str = ""


def work_context(request: HttpRequest, case: FailureGroup, now: datetime) -> dict[str, Any]:
    """What the page needs for the forms and the history."""
    may_work = request.user.has_perm("deliveries.resolve_delivery")
    context: dict[str, Any] = {
        "history": history_of(case),
        "rules": rules_of(case),
        "week": trends([case], now, **WEEK)[case.pk],
        "is_asleep": case.is_snoozed_at(now),
        "may_work": may_work,
        "can_repair": request.user.has_perm(REPAIRS),
    }
    if may_work:
        managers = list(managers_of(case.store_id)[:OFFERED])
        known = {person.pk for person in managers}
        context |= {
            "managers": managers,
            "others": [person for person in staff_of(case.store_id)[:OFFERED] if person.pk not in known],
            "mergeable": _mergeable(case),
            "operators": CaseRule.Operator.choices,
            "zone": timezone.get_current_timezone_name(),
        }
    return context


def _mergeable(case: FailureGroup) -> list[FailureGroup]:
    same = FailureGroup.objects.cases().filter(integration=case.integration_id).exclude(pk=case.pk)
    return list(same.order_by("status", "-last_at")[:OFFERED])


def history_of(case: FailureGroup) -> list[Entry]:
    """Comments and changes, newest first."""
    entries = [Entry(one.created_at, one.author_name, text=one.text) for one in comments_of(case)[:LISTED]]
    audits = audits_of(case).exclude(action="comment")
    # That another case was merged into this one is in the history of this one already.
    own = [one for one in audits[:LISTED] if one.target_id == str(case.pk) or one.action != "merge"]
    entries += [Entry(one.created_at, one.actor, _words(one)) for one in own]
    return sorted(entries, key=lambda entry: entry.at, reverse=True)[:LISTED]


def _words(entry: AuditEntry) -> str:
    before, after = entry.before or {}, entry.after or {}
    match entry.action:
        case "assign":
            return (
                _("assigned it to %(person)s") % {"person": after["assignee"]}
                if after.get("assignee")
                else _("removed its assignee")
            )
        case "snooze":
            return _("snoozed it")
        case "wake":
            return _("ended the snooze")
        case "resolve":
            return _("marked it as resolved")
        case "reopen":
            return _("reopened it")
        case "link_ticket":
            return (
                _("linked %(ticket)s") % {"ticket": after["ticket"]}
                if after.get("ticket")
                else _("removed the link to the ticket")
            )
        case "merge":
            return (
                _("merged it into %(case)s") % {"case": after["into"]}
                if "into" in after
                else _("merged %(case)s into it") % {"case": after.get("from")}
            )
        case "split":
            return _("split off %(case)s: %(condition)s") % {
                "case": after.get("into"),
                "condition": after.get("condition"),
            }
        case "remove_rule":
            return _("removed the rule to %(case)s (%(condition)s)") % {
                "case": before.get("into"),
                "condition": before.get("condition"),
            }
        case _:
            return entry.action.replace("_", " ")


def work(request: HttpRequest, case: FailureGroup, rows: Any) -> None:
    """Do what the form asks for and say so. `rows` are the cases that this person sees."""
    action = _ACTIONS.get(request.POST.get("action", ""))
    if action is None:
        raise Http404(_("There is no such action."))
    try:
        said = action(request, case, Actor.of_user(request.user), rows)
    except CaseError as error:
        messages.error(request, f"{error.message} {_('Nothing was changed.')}")
    else:
        messages.success(request, said)


def _assign(request: HttpRequest, case: FailureGroup, actor: Actor, rows: Any) -> str:
    given = request.POST.get("assignee", "")
    pk = request.user.pk if given == "me" else parse_number(given, LARGEST) if given else None
    person = staff_of(case.store_id).filter(pk=pk).first() if pk else None
    if given and person is None:
        raise CaseError(_("This person cannot see cases of this store. Choose somebody else."), "assignee")
    assign_case(case=case, assignee=person, actor=actor, note=request.POST.get("note", ""))
    if person is None:
        return _("The case is assigned to nobody now.")
    return (
        _("The case is assigned to you now.")
        if person == request.user
        else _("The case is assigned to %(person)s now. They are notified.") % {"person": person}
    )


def _comment(request: HttpRequest, case: FailureGroup, actor: Actor, rows: Any) -> str:
    comment_on_case(case=case, text=request.POST.get("text", ""), actor=actor)
    return _("Comment added.")


def _snooze(request: HttpRequest, case: FailureGroup, actor: Actor, rows: Any) -> str:
    now = timezone.now()
    until = now + SNOOZES[request.POST["for"]] if request.POST.get("for") in SNOOZES else _moment(request)
    more = None
    if written := request.POST.get("more", "").strip():
        more = parse_number(written, LARGEST)
        if more is None:
            raise CaseError(_("The number of failures must be a whole number."), "more")
    snooze_case(case=case, actor=actor, until=until, more=more, now=now)
    return _("Snoozed. Nobody is notified until then.")


def _moment(request: HttpRequest) -> datetime | None:
    written = request.POST.get("until", "").strip()
    if not written:
        return None
    try:
        moment = parse_datetime(written)
    except ValueError:
        moment = None
    if moment is None or not 1970 < moment.year < 9000:
        raise CaseError(_("The time must be a date and a time of day."), "until")
    return timezone.make_aware(moment) if timezone.is_naive(moment) else moment


def _wake(request: HttpRequest, case: FailureGroup, actor: Actor, rows: Any) -> str:
    wake_case(case=case, actor=actor)
    return _("The snooze is over.")


def _ticket(request: HttpRequest, case: FailureGroup, actor: Actor, rows: Any) -> str:
    found = set_ticket(case=case, url=request.POST.get("ticket", ""), actor=actor)
    return _("The ticket is linked.") if found.ticket_url else _("The link to the ticket is removed.")


def _merge(request: HttpRequest, case: FailureGroup, actor: Actor, rows: Any) -> str:
    pk = parse_number(request.POST.get("into", ""), LARGEST)
    target = rows.filter(pk=pk).first() if pk else None
    if target is None:
        raise CaseError(_("Choose the case to merge this one into."), "into")
    merge_cases(source=case, target=target, actor=actor)
    return _("Merged. What fails like this from now on belongs to this case too.")


def _split(request: HttpRequest, case: FailureGroup, actor: Actor, rows: Any) -> str:
    rule = split_case(
        case=case,
        field=request.POST.get("field", ""),
        operator=request.POST.get("operator", ""),
        value=request.POST.get("value", ""),
        actor=actor,
    )
    return _("Failures where %(condition)s are case %(case)s now and in future.") % {
        "condition": rule.words,
        "case": rule.target_id,
    }


def _unrule(request: HttpRequest, case: FailureGroup, actor: Actor, rows: Any) -> str:
    pk = parse_number(request.POST.get("rule", ""), LARGEST)
    rule = next((rule for rule in rules_of(case) if rule.pk == pk), None)
    if rule is None:
        raise CaseError(_("This rule was removed already."))
    remove_rule(rule=rule, actor=actor)
    return _("The rule is removed. What it has moved stays; what fails from now on does not move.")


_ACTIONS: dict[str, Callable[[HttpRequest, FailureGroup, Actor, Any], str]] = {
    "assign": _assign,
    "comment": _comment,
    "snooze": _snooze,
    "wake": _wake,
    "ticket": _ticket,
    "merge": _merge,
    "split": _split,
    "unrule": _unrule,
}
