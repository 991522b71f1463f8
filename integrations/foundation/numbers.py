"""Numbers inside sentences, as the language of the page writes them."""

from __future__ import annotations

from django.utils.formats import number_format


def grouped(number: float) -> str:
    """`18,204`, without decimals; `18.204` on a German page."""
    return number_format(round(number), use_l10n=True, force_grouping=True)
