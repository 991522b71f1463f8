"""What a search needs of the index over texts."""

from __future__ import annotations

from collections.abc import Sequence

#: Words, all of which are required; of each the ways in which it can occur; of these the texts, all of them.
Needed = Sequence[Sequence[Sequence[str]]]


class TookTooLong(Exception):
    """The database did not answer within the time limit."""
