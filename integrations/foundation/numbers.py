"""Numbers in sentences, as the active language writes them."""

from __future__ import annotations

from django.utils.formats import number_format


def grouped(number: int) -> str:
    """`18,204`."""
    return number_format(number, use_l10n=True, force_grouping=True)
