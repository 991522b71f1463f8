"""What is remembered of callers, by the threads of a web process."""

import sys
import threading
import uuid

import pytest

from integrations.security import tokens
from integrations.security.tokens import Principal, authenticate, forget, refresh
from tests.factories import AccessTokenFactory


@pytest.fixture(autouse=True)
def quick_switches():
    """Threads take turns as often as Python can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.django_db
def test_threads_may_remember_and_forget_at_the_same_time(monkeypatch):
    def look_up(store_id, token, token_hash, now):
        return Principal(uuid.uuid4(), uuid.uuid4(), "t", frozenset(), None, 1)

    monkeypatch.setattr(tokens, "_look_up", look_up)
    monkeypatch.setattr(tokens, "_touch", lambda token_id, now: None)
    known = [authenticate(store_id=None, token=f"known {n}") for n in range(300)]
    trouble, is_over = [], threading.Event()

    def remember(name):
        number = 0
        while not is_over.is_set():
            number += 1
            authenticate(store_id=None, token=f"{name} {number}")

    def forget_all():
        try:
            for principal in known:
                forget(principal)
        except RuntimeError as error:
            trouble.append(error)

    others = [threading.Thread(target=remember, args=(name,)) for name in "ab"]
    forgetting = [threading.Thread(target=forget_all) for _ in range(2)]
    for thread in [*others, *forgetting]:
        thread.start()
    for thread in forgetting:
        thread.join(60)
    is_over.set()
    for thread in others:
        thread.join(60)
    assert trouble == []


@pytest.mark.django_db
def test_looking_a_caller_up_anew_keeps_what_is_still_true(django_assert_num_queries):
    token = AccessTokenFactory()
    principal = authenticate(store_id=token.store_id, token=token.text)
    assert refresh(principal) == principal
    with django_assert_num_queries(0):
        assert authenticate(store_id=token.store_id, token=token.text, is_cache_allowed=True) == principal


@pytest.mark.django_db
def test_looking_a_caller_up_anew_replaces_what_has_changed_and_forgets_who_was_revoked():
    token = AccessTokenFactory()
    principal = authenticate(store_id=token.store_id, token=token.text)
    token.scopes = ["push"]
    token.save()
    current = refresh(principal)
    assert current.scopes == {"push"}
    assert authenticate(store_id=token.store_id, token=token.text, is_cache_allowed=True) == current
    tokens.revoke_token(token=token)
    assert refresh(current) is None
    assert authenticate(store_id=token.store_id, token=token.text, is_cache_allowed=True) is None
