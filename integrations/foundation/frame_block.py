"""Python's frames in one block of memory, so that how fast a call is does not depend on how deep it is made.

CPython (since 3.11) keeps the frames of a thread in blocks of 16 kB, and gives the last one back as soon as it is
empty. A loop whose calls happen to cross the end of a block asks the kernel for memory at each of them: an expression
takes 4 ms at most depths, and 50 at some. A frame that is larger than that gets a block of its own, of a power of two,
and what is left of it is there for all that it calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

Result = TypeVar("Result")

#: Words of the frame, so that its block is 1 MB and nearly half of it is left. What is not used is never touched, and
#: takes no memory.
_WORDS: Final = 70_000


def in_one_block(run: Callable[[], Result]) -> Result:
    """Call `run` and return what it returns. For the outermost function of a process or a thread."""
    return run()


in_one_block.__code__ = in_one_block.__code__.replace(co_stacksize=_WORDS)
