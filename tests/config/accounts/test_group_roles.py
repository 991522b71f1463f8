"""What groups mean: nobody may do more in a store than one of their groups says."""

from __future__ import annotations

import pytest

from config.accounts.group_roles import Grant, grant_of, groups_in, parse_roles


def grant(setting: str, *groups: str) -> tuple[set[str], set[str] | None] | None:
    found = grant_of(groups, parse_roles(setting))
    return None if found is None else (set(found.roles), None if found.stores is None else set(found.stores))


@pytest.mark.parametrize(
    ("setting", "groups", "expected"),
    [
        ("support=Operator:a,admins=Manager", ["support"], ({"Operator"}, {"a"})),
        ("support=Operator:a,admins=Manager", ["admins"], ({"Manager"}, None)),
        ("support=Operator:a,admins=Manager", ["support", "admins"], ({"Manager"}, None)),
        ("support=Operator:a,admins=Manager", ["x"], None),
        ("support=Operator:a,support=Operator:b", ["support"], ({"Operator"}, {"a", "b"})),
        # Manager of b only: not of a too, so this role gives way to the one that is written first.
        ("s=Operator:a,l=Manager:b", ["s", "l"], ({"Operator"}, {"a"})),
        ("s=Operator:a,s=Operator:b,l=Manager:b", ["s", "l"], ({"Operator"}, {"a", "b"})),
        ("s=Operator:a,l=Audit", ["s", "l"], ({"Audit"}, None)),
        ("s=Operator:a,l=Audit:a", ["s", "l"], ({"Operator", "Audit"}, {"a"})),
        ("/corp/it=admins=Manager", ["/corp/it=admins"], ({"Manager"}, None)),
    ],
)
def test_what_groups_give(setting: str, groups: list[str], expected: object) -> None:
    assert grant(setting, *groups) == expected


@pytest.mark.parametrize("setting", ["support", "=Operator", "support=", "support=Operator:", "support=:a"])
def test_an_entry_that_says_nothing_is_named(setting: str) -> None:
    with pytest.raises(ValueError, match="OIDC_ROLES"):
        parse_roles(f"admins=Manager,{setting}")


def test_a_claim_is_a_list_or_one_group_and_nothing_else() -> None:
    assert groups_in(["a", 1, None, "b"]) == ["a", "b"]
    assert groups_in("admins") == ["admins"]
    assert [groups_in(claim) for claim in (None, {}, 5)] == [[], [], []]
    assert grant_of([], []) is None
    assert Grant(("Viewer",), None).stores is None
