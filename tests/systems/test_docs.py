"""What docs/filters-and-transforms.md says of expressions is so, row by row."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from subscriptions.expressions.evaluation import function_help, holds, passes, transform

PAGE = (Path(__file__).parent.parent.parent / "docs" / "filters-and-transforms.md").read_text()
DATA = json.loads(re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)[1])
CONTEXT = {"topic": "order.updated", "intent": None}


def rows(heading):
    """The rows of the table with this heading, their code without the backticks around it."""
    table = PAGE[PAGE.index(f"| {heading} |") :].split("\n\n")[0].splitlines()[2:]
    found = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in table]
    assert len(found) > 1
    return [[re.sub(r"^(`+) ?(.*?) ?\1$", r"\2", cell).replace(r"\|", "|") for cell in row] for row in found]


@pytest.mark.parametrize(("text", "verdict"), rows("filter"))
def test_a_filter_passes_as_the_docs_say(text, verdict):
    assert passes(text, DATA, CONTEXT) is {"yes": True, "no": False}[verdict]


@pytest.mark.parametrize(("text", "result"), rows("expression") + rows("transform"))
def test_an_expression_gives_what_the_docs_say(text, result):
    assert transform(text, DATA, CONTEXT) == json.loads(result)


def test_the_conditions_of_the_docs_hold_where_they_should():
    paid, changed = (text for text, _ in rows("condition"))
    assert holds(paid, {"financial_status": "pending"}, {"financial_status": "paid"})
    assert holds(paid, None, {"financial_status": "paid"})
    assert not holds(paid, {"financial_status": "paid"}, {"financial_status": "paid"})
    assert holds(changed, {"status": "ready"}, {"status": "sent"})
    assert not holds(changed, None, {"status": "sent"})


def test_every_function_of_ours_is_in_the_docs():
    described = " ".join(text for text, _ in rows("expression"))
    for line in function_help():
        assert f"{line.split('(')[0]}(" in described


def test_each_test_that_the_threat_model_names_is_there():
    root = Path(__file__).resolve().parents[2]
    named = set(re.findall(r"\]\((tests/[^)]*)\)", (root / "SECURITY.md").read_text()))

    assert len(named) > 30
    assert [path for path in named if not (root / path).exists()] == []
