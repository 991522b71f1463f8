"""What squashed migrations say, without a database. `tests/deployment/test_new_database.py` runs them."""

from __future__ import annotations

from django.db.migrations.loader import MigrationLoader

from tests.online_migrations import OURS


def squashed(loader: MigrationLoader) -> dict[tuple[str, str], list[tuple[str, str]]]:
    return {key: one.replaces for key, one in loader.replacements.items() if key[0] in OURS}


def test_they_lead_to_the_models_that_the_replaced_ones_lead_to() -> None:
    loader = MigrationLoader(None)
    every = MigrationLoader(None, replace_migrations=False)
    new = loader.project_state(list(squashed(loader)))
    old = every.project_state([replaced[-1] for replaced in squashed(loader).values()])
    ours = [key for key in new.models if key[0] in OURS]
    assert ours
    assert ours == [key for key in new.models if key in old.models and key[0] in OURS]
    for key in ours:
        assert new.models[key] == old.models[key], key
