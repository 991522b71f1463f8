"""Side-by-side diff of two texts by line, with changed words marked. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

CONTEXT: Final = 3  #: equal lines shown around a change
LINES_LIMIT: Final = 4_000  #: longer texts are truncated for the comparison

#: Parts of a line: (text, is it changed).
Parts = tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A line on each side; `kind` is same, changed, removed, added or skip (`count` unchanged lines omitted)."""

    kind: str
    left: Parts = ()
    right: Parts = ()
    count: int = 0


def side_by_side(before: str, after: str) -> list[Row]:
    left, right = before.splitlines()[:LINES_LIMIT], after.splitlines()[:LINES_LIMIT]
    rows: list[Row] = []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, left, right).get_opcodes():
        if tag == "equal":
            rows += [Row("same", ((line, False),), ((line, False),)) for line in left[a:b]]
        else:
            rows += _changed(left[a:b], right[c:d])
    return list(_folded(rows))


def _changed(old: Sequence[str], new: Sequence[str]) -> Iterator[Row]:
    for index in range(max(len(old), len(new))):
        if index >= len(new):
            yield Row("removed", ((old[index], False),))
        elif index >= len(old):
            yield Row("added", (), ((new[index], False),))
        else:
            left, right = _words(old[index], new[index])
            yield Row("changed", left, right)


def _words(old: str, new: str) -> tuple[Parts, Parts]:
    """Common prefix and suffix stay unmarked; the middle is the change."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    return _parts(old, start, end), _parts(new, start, end)


def _parts(line: str, start: int, end: int) -> Parts:
    stop = len(line) - end
    return tuple(part for part in ((line[:start], False), (line[start:stop], True), (line[stop:], False)) if part[0])


def _folded(rows: list[Row]) -> Iterator[Row]:
    """Long runs of unchanged lines become one row with their count."""
    near: set[int] = set()
    for index, row in enumerate(rows):
        if row.kind != "same":
            near.update(range(index - CONTEXT, index + CONTEXT + 1))
    skipped = 0
    for index, row in enumerate(rows):
        if index in near:
            if skipped:
                yield Row("skip", count=skipped)
            skipped = 0
            yield row
        else:
            skipped += 1
    if skipped:
        yield Row("skip", count=skipped)
