"""Bringing the database in line with a file: one transaction, through the services; a plan is the same, taken back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from django.core.exceptions import ValidationError
from django.db import transaction

from config.as_code.destinations import check_destinations
from config.as_code.document import ConfigurationError, Entry, only_store, read_document
from config.as_code.references import Place, Surroundings, masked
from config.as_code.sections import SECTIONS, Context, Section, Values
from deliveries.recipes.keeping import CONFIGURATION
from integrations.models import ConfigVersion, Store

Action = Literal["create", "change", "delete"]


@dataclass(frozen=True)
class Change:
    """One difference. `fields`: what was and will be, by the file's keys; secrets masked."""

    action: Action
    kind: str
    store: str
    name: str
    fields: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    changes: list[Change]
    is_plan: bool


class _TakeBack(Exception):
    """Ends a savepoint, or the transaction of a plan."""


def apply_configuration(document: Any, around: Surroundings, *, is_plan: bool = False, deletes: bool = False) -> Report:
    """Make, change and, with `deletes`, delete what the file says. `is_plan`: only say what that would be.

    All or nothing. Raises ConfigurationError with all places that are wrong, as far as they can be known at once.
    """
    entries = read_document(document, around)
    check_destinations(entries)
    run = _Run(Context(CONFIGURATION, deletes=deletes, only=only_store(entries)))
    try:
        with transaction.atomic():
            ConfigVersion.lock()
            run.apply(entries, document)
            if is_plan:
                raise _TakeBack
    except _TakeBack:
        pass
    return Report(run.changes, is_plan)


class _Run:
    def __init__(self, context: Context) -> None:
        self.context = context
        self.changes: list[Change] = []
        self.problems: list[tuple[Place, str]] = []

    def apply(self, entries: Sequence[Entry], document: dict[str, Any]) -> None:
        self._find_stores(entries)
        unnamed: list[tuple[Section, Any]] = []
        for section in SECTIONS:
            of_section = [entry for entry in entries if entry.section is section]
            deletes = self.context.deletes and section.name in document
            unnamed += self._apply_section(section, of_section, deletes)
        for pair in reversed(unnamed):
            self._delete([pair])
        self._stop_if_wrong()

    def _find_stores(self, entries: Sequence[Entry]) -> None:
        """Those that exist; those of the section `stores` are made by it."""
        named: dict[str, Place] = {}
        for entry in entries:
            if entry.section.name == "stores":
                named.setdefault(str(entry.values["name"]), entry.place)
            several = entry.values.get("stores")
            for name in [entry.store, *(several if isinstance(several, list) else [])]:
                if isinstance(name, str):
                    named.setdefault(name, entry.place)
        for name, place in named.items():
            found = list(Store.objects.filter(name=name)[:2])
            if len(found) > 1:
                self.problems.append((place, f"There are several stores {name!r}. Give each a name of its own first."))
            elif found:
                self.context.stores[name] = found[0]
        self._stop_if_wrong()

    def _apply_section(self, section: Section, entries: Sequence[Entry], deletes: bool) -> list[tuple[Section, Any]]:
        """Make and change; returns the rows that are to be deleted at the end. Raises ConfigurationError."""
        by_owner: dict[Hashable, list[Entry]] = defaultdict(list)
        for entry in entries:
            try:
                by_owner[section.owner(entry.store, entry.values, self.context)].append(entry)
            except ValueError as error:
                self.problems.append(((*entry.place, "store"), str(error)))
        if deletes:
            for owner in section.owners_to_prune(self.context):
                by_owner.setdefault(owner, [])
        left: list[tuple[Section, Any]] = []
        for owner, own in by_owner.items():
            rows = section.rows_of(owner, self.context)
            pairs = section.pair([entry.values for entry in own], rows, self.context)
            used = {pair.row.pk for pair in pairs if pair.row is not None}
            spare = [(section, row) for row in rows if row.pk not in used and section.is_listed(row)] if deletes else []
            if section.deletes_first:
                self._delete(spare)
            else:
                left += spare
            for entry, pair in zip(own, pairs, strict=True):
                self._apply_entry(entry, owner, pair.row)
        self._stop_if_wrong()
        return left

    def _apply_entry(self, entry: Entry, owner: Any, row: Any) -> None:
        section = entry.section
        before = section.state(row) if row is not None else {}
        wanted = {name: value for name, value in entry.values.items() if row is None or before.get(name) != value}
        if not wanted:
            return
        for name in set(wanted) & set(section.reset_by):
            wanted |= {each: entry.values[each] for each in section.reset_by[name] if each in entry.values}
        try:
            with transaction.atomic():
                made = self._written(section, owner, row, wanted)
                after = section.state(made) if made is not None else {}
                if after == before:
                    raise _TakeBack  # only the spelling was new: not even the time of its last change is
        except _TakeBack:
            return
        except ValidationError as error:
            self.problems += [((*entry.place, *where), message) for where, message in _messages(section, error)]
            return
        if section.name == "stores":
            self.context.stores[made.name] = made
        self._note("change" if row is not None else "create", section, owner, before, after)

    def _written(self, section: Section, owner: Any, row: Any, values: Values) -> Any:
        """The row as it is now, read anew; None if there is none."""
        if row is None:
            made = section.create(owner, dict(values), self.context)
        else:
            made = section.update(row, dict(values), self.context) or row
        return made and type(made)._default_manager.get(pk=made.pk)

    def _delete(self, unnamed: Sequence[tuple[Section, Any]]) -> None:
        for section, row in unnamed:
            before = section.state(row)
            section.delete(row, self.context)
            self._note("delete", section, getattr(row, "store", None), before, {})

    def _note(self, action: Action, section: Section, owner: Any, before: Values, after: Values) -> None:
        fields: dict[str, dict[str, Any]] = {}
        if action != "delete":
            names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
            fields = {name: {"before": masked(before.get(name)), "after": masked(after.get(name))} for name in names}
        label = section.label(after or before)
        self.changes.append(Change(action, section.noun, _name_of(owner), label, fields))

    def _stop_if_wrong(self) -> None:
        if self.problems:
            raise ConfigurationError(self.problems)


def _name_of(owner: Any) -> str:
    if isinstance(owner, Store):
        return owner.name
    return ", ".join(sorted(store.name for store in owner)) if isinstance(owner, frozenset) else ""


def _messages(section: Section, error: ValidationError) -> list[tuple[Place, str]]:
    if not hasattr(error, "error_dict"):
        return [((), " ".join(error.messages))]
    return [
        ((section.field_names.get(name, name),) if name != "__all__" else (), " ".join(texts))
        for name, texts in error.message_dict.items()
    ]
