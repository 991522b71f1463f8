"""Regular expressions of tenants, run by RE2, which never backtracks: its time is proportional to pattern × text.

They mean what they mean in JSON Schema (ECMA-262): `\\d` and `\\w` are ASCII, `$` is the end of the text. RE2 has no
look-ahead, look-behind and back-references, and repeats at most 1,000 times.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import re2
from django.utils.translation import gettext as _

from integrations.foundation.languages import gettext_noop
from subscriptions.json_schema.errors import SchemaError

#: Maximum instructions of a compiled pattern; `\p{L}` takes about 1,200.
PROGRAM_LIMIT: Final = 5_000
#: Maximum bytes that RE2 may use for a pattern.
_MEMORY: Final = 1 << 19
#: RE2's slowest engine runs about 200 instructions × bytes per microsecond, which is one step.
_PER_STEP_SHIFT: Final = 7

_ECMA_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|c([A-Za-z])|[\s\S])")


class Pattern:
    """One pattern, compiled."""

    __slots__ = ("_compiled", "_size", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        options = re2.Options()
        options.log_errors = False
        options.max_mem = _MEMORY
        options.never_capture = True
        try:
            self._compiled = re2.compile(spelled_for_re2(text), options=options)
        except re2.error as error:
            reason = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
            raise SchemaError(
                _("The pattern %(text)r cannot be used: %(reason)s. %(advice)s")
                % {"text": text[:100], "reason": reason[:100], "advice": _(_ADVICE)}
            ) from None
        self._size: int = self._compiled.programsize
        if self._size > PROGRAM_LIMIT:
            raise SchemaError(
                _("The pattern %(text)r is too large. Use shorter repetitions, or maxLength.") % {"text": text[:100]}
            )

    def is_in(self, text: str, charge: Callable[[int], None]) -> bool:
        """Return whether the pattern matches anywhere in `text`. Raises BudgetExceeded before it takes too long."""
        charge(3 + (self._size * len(text) >> _PER_STEP_SHIFT))
        return self._compiled.search(text) is not None


_ADVICE: Final = gettext_noop(
    "Patterns are those of RE2, without look-around (?=…), back-references \\1 and repetitions beyond 1,000."
)


def spelled_for_re2(text: str) -> str:
    """A pattern of ECMA-262 as RE2 spells it."""
    return _ECMA_ESCAPE.sub(_in_re2, text)


def _in_re2(match: re.Match[str]) -> str:
    if match[1]:
        return f"\\x{{{match[1]}}}"
    if match[2]:
        return f"\\x{ord(match[2]) & 31:02x}"
    return match[0]


@lru_cache(maxsize=512)
def compiled_pattern(text: str) -> Pattern:
    """Return the compiled pattern (cached). Raises SchemaError."""
    if len(text) > 10_000:
        raise SchemaError(_("The pattern %(text)r has more than 10,000 characters.") % {"text": text[:100]})
    return Pattern(text)
