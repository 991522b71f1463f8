"""Errors in schemas, and violations of schemas."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from integrations.foundation.json_paths import path_of


class SchemaError(ValueError):
    """The schema is invalid or not supported. `pointer` is the place inside the schema: `/properties/a`."""

    def __init__(self, message: str, pointer: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.pointer = pointer

    def __str__(self) -> str:
        if not self.pointer:
            return self.message
        return _("%(problem)s (at #%(place)s)") % {"problem": self.message, "place": self.pointer}


@dataclass(frozen=True, slots=True)
class Violation:
    """A violation. `path` is the place in the data, such as `("items", 0, "price")`; empty for the whole document."""

    path: tuple[str | int, ...]
    message: str

    def place(self, outer: str = "") -> str:
        """Return the path in the API's notation, `items[0].price`, below `outer`, the path of the data itself."""
        return path_of(self.path, outer)
