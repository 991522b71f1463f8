"""What the groups of a single sign-on server mean here: `OIDC_ROLES`, as `support=Operator:my-shop,admins=Manager`.

Pure. A person has roles and stores, and each of their roles holds for each of their stores. Where groups give different
roles for different stores, the role that reaches most stores counts (then the one that is written first), and another
is added only if it reaches at least those: nobody may do more in a store than one of the groups says.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GroupRole:
    """Members of `group` have `role` in `store` (its name or id as written), or in all stores if that is empty."""

    group: str
    role: str
    store: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """`stores`: as written; None means all of them."""

    roles: tuple[str, ...]
    stores: frozenset[str] | None


def parse_roles(text: str) -> list[GroupRole]:
    """Read the setting. Raises ValueError that names the entry."""
    found = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        group, equals, rest = entry.rpartition("=")
        role, colon, store = (part.strip() for part in rest.partition(":"))
        if not equals or not group.strip() or not role or (colon and not store):
            raise ValueError(f"OIDC_ROLES: {entry!r} is not like group=Role or group=Role:store.")
        found.append(GroupRole(group.strip(), role, store))
    return found


def grant_of(groups: Collection[str], rules: Sequence[GroupRole]) -> Grant | None:
    """What these groups give together; None if none of them is listed."""
    reach: dict[str, set[str] | None] = {}
    for rule in rules:
        if rule.group not in groups:
            continue
        stores = reach.setdefault(rule.role, set())
        if not rule.store:
            reach[rule.role] = None
        elif stores is not None:
            stores.add(rule.store)
    if not reach:
        return None
    # max takes the first of equals, and the dictionary has the order of the setting.
    widest = max(reach, key=lambda role: _width(reach[role]))
    wide = reach[widest]
    roles = [role for role, stores in reach.items() if role == widest or _covers(stores, wide)]
    return Grant(tuple(roles), None if wide is None else frozenset(wide))


def _width(stores: set[str] | None) -> float:
    return float("inf") if stores is None else len(stores)


def _covers(stores: set[str] | None, others: set[str] | None) -> bool:
    return stores is None or (others is not None and stores >= others)


def groups_in(claim: object) -> list[str]:
    """The groups of a claim: a list, or one as text. Anything else are none."""
    if isinstance(claim, str):
        return [claim]
    return [each for each in claim if isinstance(each, str)] if isinstance(claim, list) else []
