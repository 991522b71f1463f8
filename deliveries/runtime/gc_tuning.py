"""Python's looking for garbage, in processes that live long and make much."""

from __future__ import annotations

import gc

#: Containers made since the last look for cycles. An engine makes dozens for each delivery, a web server for each push,
#: all of which go by themselves; with Python's own 700, an engine spent a tenth of its time looking.
GC_THRESHOLD = 50_000


def freeze_and_tune_gc() -> None:
    """What was loaded at the start is not looked through again and again. Counts for children that are forked, too."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
