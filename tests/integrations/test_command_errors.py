"""What commands say when they fail: one sentence, and never a traceback."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError
from django.db import DatabaseError, OperationalError, ProgrammingError

from integrations.management.base import PlainCommand, find_integration, find_store
from integrations.security.encryption import DecryptionError
from tests.factories import IntegrationFactory, StoreFactory


class Failing(PlainCommand):
    """Raises what it is given."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def handle(self, *args: object, **options: object) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "message", "status"),
    [
        (ValidationError("This is empty."), "This is empty.", 1),
        (ValidationError({"name": ["This is empty."], "url": ["Write it in full."]}), "name: This is empty. url:", 1),
        (DecryptionError("No key decrypts it."), "No key decrypts it.", 1),
        (OperationalError("no such table: integrations_store"), "Run: manage.py migrate", 1),
        (ProgrammingError('relation "x" does not exist\nLINE 1'), "does not exist). Run: manage.py migrate", 1),
        (OperationalError("connection refused"), "The database does not answer: connection refused", 1),
        (DatabaseError("disk I/O error"), "Database error: disk I/O error", 1),
        (KeyboardInterrupt(), "Interrupted.", 2),
    ],
)
def test_an_error_is_one_sentence_and_an_exit_status(error: BaseException, message: str, status: int) -> None:
    with pytest.raises(CommandError) as raised:
        Failing(error).execute(no_color=True, force_color=False, skip_checks=True, stdout=None, stderr=None)
    assert message in str(raised.value)
    assert raised.value.returncode == status


@pytest.mark.django_db
class TestFindingAStore:
    def test_the_only_one_needs_no_name(self) -> None:
        store = StoreFactory()
        assert find_store(None) == store

    def test_it_is_found_by_name_and_by_id(self) -> None:
        store, other = StoreFactory(name="Shop"), StoreFactory(name="Mirror")
        assert (find_store("Shop"), find_store(str(other.id))) == (store, other)

    @pytest.mark.parametrize(
        ("names", "wanted", "message"),
        [
            ([], None, "There is no store yet. Create one: manage.py createstore NAME"),
            (["One", "Two"], None, "There are several stores. Choose one with --store NAME"),
            (["One"], "Two", "Unknown store 'Two'"),
            (["One", "One"], "One", "Several stores are called 'One'. Give its id instead."),
        ],
    )
    def test_what_is_missing_or_ambiguous_says_what_to_do(
        self, names: list[str], wanted: str | None, message: str
    ) -> None:
        for name in names:
            StoreFactory(name=name)
        with pytest.raises(CommandError, match=message.replace("(", r"\(")):
            find_store(wanted)


@pytest.mark.django_db
class TestFindingAnIntegration:
    @pytest.fixture
    def two(self) -> None:
        for name in ("One", "Two"):
            IntegrationFactory(store=StoreFactory(name=name), slug="erp")

    def test_one_slug_in_several_stores_needs_the_store(self, two: None) -> None:
        with pytest.raises(CommandError, match="Several stores have an integration 'erp'"):
            find_integration("erp", None)
        assert find_integration("erp", "Two").store.name == "Two"

    def test_an_unknown_slug_is_named(self, two: None) -> None:
        with pytest.raises(CommandError, match="Unknown integration 'crm'"):
            find_integration("crm", None)
