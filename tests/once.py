"""For the run on PostgreSQL: leaves out tests that do not use the database, as the run on SQLite has them.

A pytest plugin, loaded by `tests/__main__.py`. A test stays if it asks for a database, by mark, fixture or class, or if its
module names one: some ask for SQL, or start commands that connect, without a fixture.
"""

from __future__ import annotations

import re
from typing import Any, Final
from unittest import TestCase

import pytest

#: How the line begins that says how many.
NOT_REPEATED: Final = "Not repeated on PostgreSQL:"
#: What is started there has a database of its own, whichever run it is in: the mark says which.
WITH_THEIR_OWN: Final = ("tests/e2e/", "tests/deployment/")
FIXTURES: Final = frozenset({"db", "transactional_db", "live_server"})
MARKS: Final = ("django_db", "postgresql", "redis")
NAMED: Final = re.compile(
    r"\bconnections?\b|\bvendor\b|psycopg|postgres|sqlite|redis|storage|manage\.py|call_command|db_blocker", re.I
)

_counts: list[int] = []


def uses_database(item: pytest.Item) -> bool:
    if any(item.get_closest_marker(mark) for mark in MARKS):
        return True
    if item.nodeid.startswith(WITH_THEIR_OWN):
        return False
    if FIXTURES.intersection(getattr(item, "fixturenames", ())):
        return True
    of_class = getattr(item, "cls", None)
    return (of_class is not None and issubclass(of_class, TestCase)) or _names_database(item)


_known: dict[str, bool] = {}


def _names_database(item: pytest.Item) -> bool:
    file = str(item.path)
    if file not in _known:
        _known[file] = NAMED.search(item.path.read_text()) is not None
    return _known[file]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    others = [item for item in items if not uses_database(item)]
    items[:] = [item for item in items if uses_database(item)]
    config.hook.pytest_deselected(items=others)
    _counts.append(len(others))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput") and _counts:
        session.config.workeroutput["not_repeated"] = _counts[0]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker of pytest-xdist has ended; each has collected the same."""
    _counts.extend([node.workeroutput["not_repeated"]] if "not_repeated" in getattr(node, "workeroutput", {}) else [])


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _counts and _counts[0]:
        terminalreporter.write_line(f"{NOT_REPEATED} {_counts[0]} tests that do not use the database.")
