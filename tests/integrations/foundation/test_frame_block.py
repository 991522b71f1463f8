"""Frames in one block of memory: calls are made as they are elsewhere, and the block is large enough."""

from __future__ import annotations

import threading

import pytest

from integrations.foundation.frame_block import in_one_block

#: Bytes of a word, and of the block that a frame of more than half of it is given.
WORD, BLOCK = 8, 1024 * 1024


def test_what_is_called_returns_and_raises_as_ever() -> None:
    assert in_one_block(lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        in_one_block(lambda: 1 / 0)


def test_its_frame_is_more_than_half_of_a_block_and_leaves_room_for_deep_calls() -> None:
    size = in_one_block.__code__.co_stacksize * WORD
    assert BLOCK / 2 < size < BLOCK * 0.6

    def deep(calls: int) -> int:
        return 0 if calls == 0 else 1 + deep(calls - 1)

    assert in_one_block(lambda: deep(800)) == 800


def test_blocks_in_blocks_and_in_threads_are_their_own() -> None:
    found: list[int] = []
    threads = [threading.Thread(target=in_one_block, args=(lambda: found.append(1),)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert in_one_block(lambda: in_one_block(lambda: len(found))) == 20
