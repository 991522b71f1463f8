"""What rules make of each member: its value before and after, and whether the result may and should be sent."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal

from django.utils.translation import gettext as _

from deliveries.recipes.members import Member
from deliveries.recipes.rules import Step, ValueProblem, run
from deliveries.recipes.shape import Shape
from deliveries.resolution.bulk_fixes import value_of
from integrations.foundation.json_documents import is_same
from integrations.foundation.json_places import MISSING, Place, PlaceError, look_up, put
from integrations.foundation.strict_json import DocumentError, dump_document, parse_document
from subscriptions.routing import StoreConfig

Verdict = Literal["fits", "unlike", "unchanged", "breaks"]

#: Seconds that a preview may take; what it has not reached is said.
PREVIEW_SECONDS: Final = 4.0
#: While a form is being filled in.
LIVE_SECONDS: Final = 1.5
SEND_SECONDS: Final = 25.0


@dataclass(frozen=True, slots=True)
class Row:
    """One member in the table. `after` is None in a row that breaks before there is a value (`has_after`)."""

    member: Member
    before: Any
    after: Any
    verdict: Verdict
    why: str = ""
    is_typed: bool = False
    has_after: bool = True

    @property
    def change(self) -> dict[str, Any]:
        """What a bulk fix keeps of it."""
        return {} if self.after is MISSING else {"value": self.after}


@dataclass(slots=True)
class Plan:
    """The counts over all members that were reached, and the rows that were asked for."""

    counts: dict[Verdict, int] = field(default_factory=lambda: {"fits": 0, "unlike": 0, "unchanged": 0, "breaks": 0})
    rows: list[Row] = field(default_factory=list)
    #: Members that were reached; all of them unless `is_complete` is false.
    reached: int = 0
    is_complete: bool = True
    matching: int = 0


@dataclass(frozen=True)
class FieldFix:
    """What is done: the field, the rules, what was typed by hand, and by what the result is judged."""

    place: Place
    steps: Sequence[Step]
    config: StoreConfig
    shape: Shape | None = None
    typed: Mapping[uuid.UUID, Mapping[str, Any]] = field(default_factory=dict)

    def row(self, member: Member) -> Row:
        before = look_up(member.payload, self.place)
        typed = self.typed.get(member.delivery_id)
        made = partial(Row, member, before, is_typed=typed is not None)
        try:
            after = value_of(typed) if typed is not None else run(self.steps, before, member.payload)
            payload = put(member.payload, self.place, after)
        except (ValueProblem, PlaceError) as problem:
            return made(None, "breaks", str(problem), has_after=False)
        if member.is_awaiting_approval:
            return made(after, "breaks", _("An edited payload of it awaits approval."))
        if is_same(member.payload, payload):
            return made(after, "unchanged")
        if why := self._why_not(member, payload):
            return made(after, "breaks", why)
        why = self.shape.why_unlike(after) if self.shape is not None else ""
        return made(after, "unlike" if why else "fits", why)

    def _why_not(self, member: Member, payload: Any) -> str:
        """What forbids sending this payload; empty if nothing does."""
        try:
            parse_document(dump_document(payload).encode("utf-8", "surrogatepass"))
        except DocumentError as error:
            return error.message
        if member.object_id and self.place == ("id",):
            return _("The id names the record and cannot be changed.")
        rule = self.config.rule_of(member.topic) if member.topic is not None else None
        violations = rule.violations(payload, limit=1) if rule is not None else []
        return f"{violations[0].place() or _('the payload')}: {violations[0].message}" if violations else ""


def make_plan(
    members: Iterable[Member],
    fix: FieldFix,
    *,
    is_wanted: Callable[[int, Row], bool],
    seconds: float = PREVIEW_SECONDS,
) -> Plan:
    """Go over the members for at most `seconds`. `is_wanted` is asked which rows to return, by number and row."""
    plan, deadline = Plan(), time.monotonic() + seconds
    for number, member in enumerate(members):
        row = fix.row(member)
        plan.counts[row.verdict] += 1
        plan.reached += 1
        if is_wanted(number, row):
            plan.rows.append(row)
        if time.monotonic() > deadline:
            plan.is_complete = False
            break
    return plan
