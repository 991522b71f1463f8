"""What schemas raise and report."""

from __future__ import annotations

from dataclasses import dataclass

from integrations.foundation.json_paths import path_of


class SchemaError(ValueError):
    """It is no JSON Schema that can be applied here. `pointer` is the place inside the schema: `/properties/a`."""

    def __init__(self, message: str, pointer: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.pointer = pointer

    def __str__(self) -> str:
        return f"{self.message} (at #{self.pointer})" if self.pointer else self.message


@dataclass(frozen=True, slots=True)
class Violation:
    """`path` is the place inside the data, `("items", 0, "price")`; empty for the whole."""

    path: tuple[str | int, ...]
    message: str

    def place(self, outer: str = "") -> str:
        """The path as the API names fields, `items[0].price`; inside `outer`, where the data itself stands."""
        return path_of(self.path, outer)
