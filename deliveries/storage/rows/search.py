"""The conditions of a search that the text index can use."""

from __future__ import annotations

from collections.abc import Sequence

#: Words, all of which must occur; for each word its alternatives; for each alternative the texts it consists of.
Needed = Sequence[Sequence[Sequence[str]]]


class TookTooLong(Exception):
    """The database did not answer within the time limit."""
