"""A configuration file, checked for its shape: sections, entries, keys. What the values may be, the services say."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from config.as_code.references import Place, Surroundings, resolved
from config.as_code.sections import SECTIONS, Section

VERSION: Final = 1
_NO_TEXT: Final = re.compile("[\0\ud800-\udfff]")
#: Problems that are listed at once.
SHOWN_LIMIT: Final = 50


class ConfigurationError(Exception):
    """The file cannot be applied, and nothing was changed. `problems`: the places in the file, and what is wrong."""

    def __init__(self, problems: Sequence[tuple[Place, str]]) -> None:
        self.problems = [(path_of(place), message) for place, message in problems]
        super().__init__("\n".join(f"{path}: {message}" if path else message for path, message in self.problems))


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a section. `values`: what it sets, without the store, references resolved."""

    section: Section
    place: Place
    store: str | None
    values: dict[str, Any]


def path_of(place: Place) -> str:
    """`integrations[2].headers.X-Team`"""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_document(document: Any, around: Surroundings) -> list[Entry]:
    """All entries, in the order in which they can be applied. Raises ConfigurationError with all that is wrong."""
    if not isinstance(document, dict):
        raise ConfigurationError([((), "A configuration file is a mapping that begins with: version: 1")])
    problems: list[tuple[Place, str]] = []
    _check_keys(document, ["version", *(section.name for section in SECTIONS)], (), problems)
    if (version := document.get("version")) != VERSION or isinstance(version, bool):
        problems.append((("version",), f"This must be {VERSION}: the version of the file's format."))
    entries = []
    for section in SECTIONS:
        for place, key, given in _entries_of(document.get(section.name), section, problems):
            entries.append(_entry(section, place, key, given, around, problems))
    found = [entry for entry in entries if entry is not None]
    _check_stores(found, problems)
    if problems:
        raise ConfigurationError(problems[:SHOWN_LIMIT])
    return found


def _entries_of(
    given: Any, section: Section, problems: list[tuple[Place, str]]
) -> list[tuple[Place, str | None, dict[str, Any]]]:
    """Of a list, or of a mapping whose keys are the slugs or names."""
    pairs: list[tuple[str | int, Any]]
    if given is None:
        return []
    if isinstance(given, list):
        pairs = list(enumerate(given))
    elif isinstance(given, dict):
        pairs = list(given.items())
    else:
        problems.append(((section.name,), f"This is a list of {section.name}, or a mapping of them."))
        return []
    found: list[tuple[Place, str | None, dict[str, Any]]] = []
    for key, value in pairs:
        place: Place = (section.name, key)
        if isinstance(value, dict) or (value is None and isinstance(key, str)):
            found.append((place, key if isinstance(key, str) else None, value or {}))
        else:
            problems.append((place, f"This is a mapping of what is set on the {section.noun}."))
    return found


def _entry(
    section: Section,
    place: Place,
    key: str | None,
    given: Mapping[str, Any],
    around: Surroundings,
    problems: list[tuple[Place, str]],
) -> Entry | None:
    values = dict(given)
    if key is not None and section.key and values.setdefault(section.key, key) != key:
        problems.append(((*place, section.key), f"It is called {key!r} already: leave this out."))
        return None
    known = [each.name for each in section.fields] + (["store"] if section.has_store else [])
    _check_keys(values, known, place, problems)
    if section.key and not (isinstance(values.get(section.key), str) and values[section.key].strip()):
        problems.append(((*place, section.key), f"{section.key} is required: it says which {section.noun} is meant."))
        return None
    store = values.pop("store", None) if section.has_store else None
    if store is not None and not isinstance(store, str):
        problems.append(((*place, "store"), "Write the store's name as a text."))
        return None
    for each in section.fields:
        if each.name not in values:
            continue
        where: Place = (*place, each.name)
        if each.is_secret and isinstance(values[each.name], str) and values[each.name]:
            problems.append((where, CLEAR))
        if each.takes_references:
            values[each.name] = resolved(values[each.name], where, around, problems)
    _check_texts(values, place, problems)
    return Entry(section, place, store, values)


def _check_texts(value: Any, place: Place, problems: list[tuple[Place, str]]) -> None:
    """Escapes of YAML can say what no database keeps."""
    if isinstance(value, str):
        if _NO_TEXT.search(value):
            problems.append((place, "This holds a NUL or half a character, which cannot be stored. Remove it."))
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_texts(str(key), place, problems)
            _check_texts(inner, (*place, key), problems)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _check_texts(inner, (*place, number), problems)


CLEAR: Final = "A secret does not stand in this file. Write {env: NAME} or {file: PATH}."


def _check_keys(
    given: Mapping[str, Any], known: Collection[str], place: Place, problems: list[tuple[Place, str]]
) -> None:
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(key, known, 1)
            advice = f"Did you mean {close[0]}?" if close else f"Known are: {', '.join(known)}."
            problems.append(((*place, key), f"Unknown key. {advice}"))


def _check_stores(entries: list[Entry], problems: list[tuple[Place, str]]) -> None:
    """Each entry's store is named; nothing stands twice."""
    seen: dict[tuple[str, str | None, str], Place] = {}
    only = only_store(entries)
    for entry in entries:
        section = entry.section
        if section.has_store and entry.store is None and only is None and "stores" not in entry.values:
            problems.append(((*entry.place, "store"), "store is required: the name of the store that it belongs to."))
        if not section.key or not section.is_key_unique:
            continue
        identity = (section.name, entry.store or only, str(entry.values[section.key]))
        if identity in seen:
            problems.append((entry.place, f"The same {section.noun} stands at {path_of(seen[identity])} already."))
        seen.setdefault(identity, entry.place)


def only_store(entries: Sequence[Entry]) -> str | None:
    """The store that the file is about, if it names exactly one: then its entries need not say so."""
    named = {entry.store for entry in entries if entry.store is not None}
    named |= {str(entry.values["name"]) for entry in entries if entry.section.name == "stores"}
    return next(iter(named)) if len(named) == 1 else None
