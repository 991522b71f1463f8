"""Writing the file: every section, every field, in an order that does not depend on ids."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from config.as_code.document import VERSION, ConfigurationError
from config.as_code.references import Names
from config.as_code.sections import SECTIONS, Section
from config.as_code.sections.channels import Channels
from integrations.models import Store


def export_configuration(store: Store | None = None) -> dict[str, Any]:
    """The document of all stores, or of one. Secrets are `{env: NAME}`.

    Raises ConfigurationError if several of them have one name.
    """
    stores = [store] if store is not None else list(Store.objects.order_by("name", "created_at"))
    names = [each.name for each in stores]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        message = f"Several stores are called {twice[0]!r}. Rename one of them, or export one: export --store ID"
        raise ConfigurationError([((), message)])
    taken = Names()
    document: dict[str, Any] = {"version": VERSION}
    for section in SECTIONS:
        if section.name == "stores":
            document["stores"] = [section.state(each) for each in stores]
        elif isinstance(section, Channels):
            document["channels"] = _channels(section, stores, taken, is_whole=store is None)
        else:
            document[section.name] = [
                _entry(section, {"store": each.name}, row, taken) for each in stores for row in _rows(section, each)
            ]
    return document


def _rows(section: Section, store: Store) -> list[Any]:
    return [row for row in section.rows(store) if section.is_listed(row)]


def _channels(section: Channels, stores: list[Store], taken: Names, *, is_whole: bool) -> list[dict[str, Any]]:
    """Of one store each; of a whole installation also those of several and of all."""
    found = [_entry(section, {"store": each.name}, row, taken) for each in stores for row in section.rows(each)]
    if is_whole:
        shared = section.shared()
        for row in shared:
            names = sorted(each.name for each in row.stores.all())
            found.append(_entry(section, {"stores": names}, row, taken))
    return found


def _entry(section: Section, owner: dict[str, Any], row: Any, taken: Names) -> dict[str, Any]:
    state = section.state(row)
    key = state[section.key] if section.key else state.get("integration") or urlsplit(state["url"]).hostname or ""
    words = [*(owner.get("stores") or [owner.get("store", "")]), section.noun, key]
    return {**owner, **{name: taken.referenced(value, [*words, name]) for name, value in state.items()}}
