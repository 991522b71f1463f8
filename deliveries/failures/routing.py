"""Route failures by the rules of merged and split cases. The rules are read once per batch of failures."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from deliveries.failures.conditions import meets
from deliveries.models import CaseRule

#: Most rules that a failure follows in a row. More make no sense, and the limit ends cycles.
MOST_STEPS = 10


class Target(NamedTuple):
    """The group that a rule leads to."""

    id: int
    kind: str
    fingerprint: str
    message: str
    title: str


class _Rule(NamedTuple):
    field: str
    operator: str
    value: str
    target: Target


@dataclass(slots=True)
class Routes:
    """The rules of a set of integrations; most have none."""

    source_of: dict[tuple[int, str], int] = field(default_factory=dict)
    rules: dict[int, list[_Rule]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.rules)

    def target_of(
        self, integration_id: int, fingerprints: Sequence[str], message: str, documents: Sequence[str | bytes]
    ) -> Target | None:
        """Return the target group of a failure with one of `fingerprints`; None: no rule applies."""
        sources = (self.source_of.get((integration_id, digest)) for digest in fingerprints)
        at = next((source for source in sources if source is not None), None)
        payload = _Payload(documents)
        found: Target | None = None
        for _ in range(MOST_STEPS):
            step = next((rule for rule in self.rules.get(at or 0, ()) if _applies(rule, message, payload)), None)
            if step is None:
                break
            found, at = step.target, step.target.id
        return found


def routes_of(integration_ids: Collection[int]) -> Routes:
    """Load the rules, in one query."""
    routes = Routes()
    rows = CaseRule.objects.filter(source__integration_id__in=integration_ids).order_by("id").values_list(
        "source_id", "source__integration_id", "source__fingerprint", "field", "operator", "value",
        "target_id", "target__kind", "target__fingerprint", "target__message", "target__title",
    )  # fmt: skip
    for row in rows:
        source_id, integration_id, digest, name, operator, value = row[:6]
        routes.source_of[integration_id, digest] = source_id
        routes.rules.setdefault(source_id, []).append(_Rule(name, operator, value, Target(*row[6:])))
    for rules in routes.rules.values():
        # Failures that were split off stay separate even if the rest is merged into another case.
        rules.sort(key=lambda rule: not rule.field)
    return routes


def _applies(rule: _Rule, message: str, payload: _Payload) -> bool:
    if not rule.field:
        return True
    return meets(rule.field, rule.operator, rule.value, message=message, payload=payload.data)


class _Payload:
    """The payload as pushed or edited, parsed when a rule first asks for it."""

    def __init__(self, documents: Sequence[str | bytes]) -> None:
        self._documents = documents
        self._data: Any = None
        self._is_read = False

    @property
    def data(self) -> Any:
        if not self._is_read and self._documents:
            try:
                self._data = json.loads(self._documents[0])
            except (ValueError, RecursionError):
                self._data = None
        self._is_read = True
        return self._data
