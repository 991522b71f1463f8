"""Hooks: how an inner app notifies outer ones without importing them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Generic, ParamSpec

if TYPE_CHECKING:
    from integrations.models import Integration

P = ParamSpec("P")


class Hook(Generic[P]):
    """A list of listeners, called in order, in the caller's transaction and thread.

    Unlike Django's signals it is typed, and exceptions of a listener reach the caller. Outer apps connect in their
    `AppConfig.ready`.
    """

    def __init__(self) -> None:
        self._listeners: list[Callable[P, None]] = []

    def __bool__(self) -> bool:
        """Whether anybody listens."""
        return bool(self._listeners)

    def connect(self, listener: Callable[P, None]) -> None:
        if listener not in self._listeners:
            self._listeners.append(listener)

    @contextmanager
    def connected(self, listener: Callable[P, None]) -> Iterator[None]:
        """Connect `listener` within a `with` block only."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        for listener in self._listeners:
            listener(*args, **kwargs)


#: An integration was deleted at this time. Called in the deleting transaction, so that outer apps can clean up.
integration_deleted: Hook[[Integration, datetime]] = Hook()
#: An integration was enabled (True) or disabled: why, and when. In the transaction that did it.
integration_switched: Hook[[Integration, bool, str, datetime]] = Hook()
#: Somebody wants to keep this text as an expression (JMESPath): raises ValueError with a sentence if it cannot be one.
expression_given: Hook[[str]] = Hook()
