"""Kinds of channel that installed packages bring (docs/extending.md)."""

from __future__ import annotations

from typing import Any

from integrations.foundation.extensions import ExtensionError, check_class, register
from notifications.channels import CHANNEL_KINDS
from notifications.channels.base import Field, Provider

#: Characters of a name: what the column of channels holds.
LONGEST = 30


def load_channel_kinds() -> None:
    """Add them to the registry."""
    register("channels", CHANNEL_KINDS, accept_channel_kind, longest=LONGEST)


def accept_channel_kind(name: str, found: Any) -> type[Provider]:
    """Raises ExtensionError."""
    if not isinstance(found, type) or not issubclass(found, Provider):
        raise ExtensionError(f"It is {found!r}; a class inheriting from Provider is needed.")
    check_class(found, Provider, ("send",))
    if not isinstance(found.fields, tuple) or not all(isinstance(each, Field) for each in found.fields):
        raise ExtensionError("fields is a tuple of Field: what the channel's form asks for.")
    if found.columns:
        raise ExtensionError("columns are for kinds of Hookdesk itself: the fields of others are kept encrypted.")
    # A class of its own, as one class may be registered under several names.
    kind: type[Provider] = type(found.__name__, (found,), {"name": name, "__module__": found.__module__})
    return kind
