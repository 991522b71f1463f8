"""Finding and replacing by RE2, which cannot backtrack; each search is charged before it runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import re2

from subscriptions.json_schema import SchemaError
from subscriptions.json_schema.patterns import PROGRAM_LIMIT, compiled_pattern, spelled_for_re2

_MEMORY: Final = 1 << 19
#: As for the patterns of schemas; finding where the groups are takes RE2's slower ways.
_PER_STEP_SHIFT: Final = 5
_REFERENCE = re.compile(r"\\(?:([0-9])|([\s\S]))")
#: A replacement that makes more than this is refused by whoever asked.
_LENGTH_LIMIT: Final = 100_000


class Replacement:
    """A compiled pattern and what stands in place of its matches: `\\1` is a group, `\\\\` a backslash."""

    def __init__(self, pattern: str, template: str) -> None:
        # The dialect, its limits and the words for what is wrong are those of schemas.
        compiled_pattern(pattern)
        options = re2.Options()
        options.log_errors = False
        options.max_mem = _MEMORY
        self._compiled = re2.compile(spelled_for_re2(pattern), options=options)
        self._size: int = min(self._compiled.programsize, PROGRAM_LIMIT)
        self._parts = list(_parts(template))
        highest = max((part for part in self._parts if isinstance(part, int)), default=0)
        if highest > self._compiled.groups:
            raise SchemaError(f"\\{highest} refers to a pair of brackets that the pattern does not have.")

    def replaced(self, text: str, charge: Callable[[int], None]) -> str:
        """Raises BudgetExceeded before it takes too long."""
        made: list[str] = []
        length, end = 0, 0
        charge(3 + (self._size * len(text) >> _PER_STEP_SHIFT))
        for match in self._compiled.finditer(text):
            made += [text[end : match.start()], *(self._part(part, match) for part in self._parts)]
            end = match.end()
            length += sum(map(len, made[-1 - len(self._parts) :]))
            if length > _LENGTH_LIMIT:
                break
            charge(3 + (self._size * (len(text) - end) >> _PER_STEP_SHIFT))
        return "".join([*made, text[end:]])

    @staticmethod
    def _part(part: str | int, match: re.Match[str]) -> str:
        return part if isinstance(part, str) else match[part] or ""


def _parts(template: str) -> list[str | int]:
    parts: list[str | int] = []
    end = 0
    for match in _REFERENCE.finditer(template):
        parts.append(template[end : match.start()])
        parts.append(int(match[1]) if match[1] else {"n": "\n", "t": "\t"}.get(match[2], match[2]))
        end = match.end()
    parts.append(template[end:])
    return [part for part in parts if part != ""]


@lru_cache(maxsize=512)
def compiled_replacement(pattern: str, template: str) -> Replacement:
    """Raises SchemaError for a pattern that cannot be used, with the reason."""
    return Replacement(pattern, template)
