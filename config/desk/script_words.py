"""What the scripts of the desk say, in the language of the page: `words.js` reads it from a block of JSON."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from django.utils.html import json_script
from django.utils.safestring import SafeString
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from config.desk.written import STEPS

#: The id of the block.
BLOCK: Final = "desk-words"
#: One number of each plural form of any language. Scripts take the text of the first that has the form of theirs.
SAMPLES: Final = (0, 1, 2, 3, 11, 100)


def block() -> SafeString:
    """The block for the language of now."""
    return _block(get_language() or "")


@lru_cache(maxsize=32)
def _block(_language: str) -> SafeString:
    return json_script(words(), BLOCK)


def words() -> dict[str, Any]:
    return {
        "now": _("now"),
        "before": {step[2]: str(step[3]) for step in STEPS},
        "after": {step[2]: str(step[4]) for step in STEPS},
        "copied": _("Copied"),
        "selected": [[each, ngettext("%(number)s selected", "%(number)s selected", each)] for each in SAMPLES],
        "deliveries": [[each, ngettext("%(number)s delivery", "%(number)s deliveries", each)] for each in SAMPLES],
        "problems": [[each, ngettext("%(number)s problem", "%(number)s problems", each)] for each in SAMPLES],
        "noProblems": _("No problems found"),
        "filter": _("Filter %(number)s"),
        "filterLabel": _("Filter this list"),
        "passkeyUnanswered": _("The server does not answer. Reload the page."),
        "passkeyCancelled": _("Cancelled, or no passkey for Hookdesk is on this device."),
        "passkeyKnown": _("This device has a passkey for you already."),
    }
