"""Fields of answers: how a column or a whole row is written in the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rest_framework import serializers

from integrations.foundation.identifiers import public_id


class PublicIdField(serializers.CharField):
    """A UUID as outsiders know it: `PublicIdField("dlv")`."""

    def __init__(self, prefix: str, **options: Any) -> None:
        super().__init__(**options)
        self.prefix = prefix

    def to_representation(self, value: Any) -> str:
        return public_id(self.prefix, value)


class TextOrNullField(serializers.CharField):
    """Text that is empty in the database and null in the API where there is none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_null": True, **options})

    def to_representation(self, value: str) -> str | None:  # type: ignore[override]  # DRF knows no field that makes null of a value
        return value or None


class UnixSecondsField(serializers.IntegerField):
    def __init__(self, **options: Any) -> None:
        super().__init__(**{"help_text": "Unix seconds.", **options})

    def to_representation(self, value: Any) -> int:
        return int(value.timestamp())


class OfRowField(serializers.Field[Any, Any, Any, Any]):
    """What a function says of the whole row; mixed with the field that describes it."""

    def __init__(self, show: Callable[[Any], Any], **options: Any) -> None:
        super().__init__(source="*", **options)
        self.show = show

    def to_representation(self, value: Any) -> Any:
        return self.show(value)


class TextOfRowField(OfRowField, serializers.CharField):
    """`TextOfRowField(readable_body)`."""


class ObjectOfRowField(OfRowField, serializers.DictField):
    """The same for an object."""
