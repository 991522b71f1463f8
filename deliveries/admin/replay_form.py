"""Fields that the forms of bulk resends share: the rate and the canary."""

from __future__ import annotations

import re
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from deliveries.replay import CANARY_ABOVE, STOP_ABOVE, ReplayError

#: What people of several languages put between the thousands of a number.
_GROUPING = re.compile(r"[\s.,'’]")

RATES = (10, 50, 200, 1_000)
DEFAULT_RATE = 200


def canary_context(request: HttpRequest, total: int) -> dict[str, Any]:
    """What the form's canary fields show: as typed, else the default for so many deliveries."""
    is_asked = "canary_asked" in request.POST
    return {
        "has_canary": "canary" in request.POST if is_asked else total > CANARY_ABOVE,
        "stop_above": request.POST.get("stop_above", STOP_ABOVE) if is_asked else STOP_ABOVE,
    }


def chosen_canary(request: HttpRequest, action: str = "retry") -> dict[str, Any]:
    """The arguments of `start_replay`. A form without these fields leaves it to the default. Raises ReplayError."""
    if action != "retry" or "canary_asked" not in request.POST:
        return {}
    if "canary" not in request.POST:
        return {"canary": False}
    text = request.POST.get("stop_above", "").strip().removesuffix("%").strip()
    if not (text.isascii() and text.isdecimal() and len(text) < 4):
        raise ReplayError(_("Write the percentage that may fail again as a whole number from 0 to 99."))
    return {"canary": True, "stop_above": int(text)}


def without_grouping(text: str) -> str:
    """A number as somebody typed it, with nothing between its digits: `1,234`, `1.234` and `1 234` are the same."""
    return _GROUPING.sub("", text)
