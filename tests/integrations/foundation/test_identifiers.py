"""UUIDs that sort by time, and the public ids made of them."""

import os
import threading
import time
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.foundation import identifiers
from integrations.foundation.identifiers import parse_public_id, public_id, uuid7

SEED_ID = "nsub_01033700-16ad-11e6-aa08-ed65c3040c0f"


@pytest.fixture(autouse=True)
def a_series_of_its_own(monkeypatch):
    """Ids never go back within a process, also when an earlier test travelled into the future."""
    monkeypatch.setattr(identifiers, "_by_clock", identifiers._Sequence())


def milliseconds(uuid):
    return uuid.int >> 80


def test_a_new_id_is_a_version_7_uuid_of_this_moment():
    before = time.time_ns() // 1_000_000
    uuid = uuid7()
    assert (uuid.version, uuid.variant) == (7, RFC_4122)
    assert before <= milliseconds(uuid) <= time.time_ns() // 1_000_000 + 1000


def test_ids_sort_in_the_order_they_were_made_many_a_millisecond():
    made = [uuid7() for _ in range(20_000)]
    assert made == sorted(set(made))


def test_ids_stay_in_order_when_the_clock_is_set_back(monkeypatch):
    first = uuid7()
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000_000)
    second, third = uuid7(), uuid7()
    assert first < second < third


@given(st.integers(0, 2**48 - 1))
def test_a_given_moment_is_kept_exactly(now_ms):
    first, second = uuid7(now_ms), uuid7(now_ms)
    assert milliseconds(first) == milliseconds(second) == now_ms
    assert first < second
    assert first.version == second.version == 7
    assert second.variant == RFC_4122


def test_a_given_moment_in_the_future_does_not_move_the_clock():
    uuid7(2**48 - 1)
    assert milliseconds(uuid7()) < 2**47


def test_threads_never_make_the_same_id_and_each_sees_its_own_in_order():
    made = [[] for _ in range(8)]

    def make(ids):
        ids.extend(uuid7() for _ in range(2_000))

    threads = [threading.Thread(target=make, args=(ids,)) for ids in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({uuid for ids in made for uuid in ids}) == 16_000
    assert all(ids == sorted(ids) for ids in made)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_does_not_repeat_the_ids_of_its_parent():
    far = 2**47  # one millisecond for both, so that only the random bits tell them apart
    uuid7(far)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, b"".join(uuid7(far).bytes for _ in range(100)))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        raw = pipe.read()
    os.waitpid(child, 0)
    of_child = {raw[start : start + 16] for start in range(0, len(raw), 16)}
    assert len(of_child) == 100
    assert of_child.isdisjoint(uuid7(far).bytes for _ in range(100))


def test_public_ids_look_as_in_the_seeds():
    uuid = UUID("01033700-16ad-11e6-aa08-ed65c3040c0f")
    assert public_id("nsub", uuid) == SEED_ID
    assert public_id("notif", uuid) == "notif_01033700-16ad-11e6-aa08-ed65c3040c0f"
    assert public_id("evt", uuid) == "evt_0103370016ad11e6aa08ed65c3040c0f"


@given(st.uuids(), st.sampled_from(["evt", "dlv", "nsub", "notif"]))
def test_a_public_id_is_read_in_every_spelling(uuid, prefix):
    for text in (public_id(prefix, uuid), f"{prefix}_{uuid}", f"{prefix}_{uuid.hex}", str(uuid), uuid.hex.upper()):
        assert parse_public_id(prefix, text) == uuid


@pytest.mark.parametrize(
    "text",
    [
        "",
        "evt_",
        "nsub_" + "0" * 32,
        "evt_" + "0" * 31,
        "evt_" + "0" * 33,
        "evt_" + "g" * 32,
        "evt_" + "٠" * 32,
        "evt_" + "0" * 32 + "\n",
        "evt_0103370016ad-11e6-aa08-ed65c3040c0f",
        "{01033700-16ad-11e6-aa08-ed65c3040c0f}",
        "urn:uuid:01033700-16ad-11e6-aa08-ed65c3040c0f",
    ],
)
def test_what_holds_no_id_of_that_kind_is_none(text):
    assert parse_public_id("evt", text) is None


@given(st.text())
def test_no_text_makes_the_reader_fail(text):
    assert parse_public_id("evt", f"evt_{text}") is None or len(text) >= 32
