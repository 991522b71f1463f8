"""Pills, times and ids in the columns of stock lists."""

from __future__ import annotations

from typing import Any

from django.template.loader import render_to_string
from django.utils.safestring import SafeString


def drawn(tag: str, value: Any) -> SafeString:
    """`value` as the desk's templates draw it; `tag` is `ago`, `clock`, `pill` or `id`."""
    return SafeString(render_to_string("admin/desk/cell.html", {"tag": tag, "value": value}).strip())
