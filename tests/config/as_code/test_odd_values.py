"""Values that nobody would write in a file, at each of its places."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from config.as_code import ConfigurationError
from config.as_code.yaml_text import load
from tests.config.as_code.conftest import FILE

JUNK = [
    None,
    "",
    "x",
    "\x00",
    5,
    -1.5,
    True,
    [],
    [5],
    [None],
    {},
    {"a": 1},
    {"env": "WAREHOUSE_TOKEN"},
    {"env": 5},
    "…" * 300,
]


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, one in inner for place in places(one, (*at, key)))][not at :]


@pytest.mark.parametrize("section", ["topics", "integrations", "sources", "subscriptions", "channels", "recipes"])
def test_whatever_stands_at_a_place_is_taken_or_named(apply, section):
    """Each value of the section is replaced by an odd one in turn: the file is applied, or refused in words."""
    needed = {
        name: value for name, value in load(FILE).items() if name in ("version", "stores", "integrations", section)
    }
    apply(needed)
    outcomes = set()
    for number, place in enumerate(places(needed[section])):
        document = copy.deepcopy(needed)
        holder = document[section]
        for key in place[:-1]:
            holder = holder[key]
        holder[place[-1]] = JUNK[number % len(JUNK)]
        try:
            apply(document, is_plan=True, deletes=True)
        except ConfigurationError as error:
            outcomes.add(bool(error.problems))
    assert outcomes == {True}
