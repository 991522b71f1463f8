"""`make check`: migrations must run while the previous version serves: no long locks, and nothing it needs is removed.

Hand-written because existing linters do not know which tables are large, which columns an INSERT of the previous
version lacks, or what RunPython does; and they need a database. This one reads operations only.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from django.db import connection, models
from django.db.migrations import Migration, operations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from django.db.models.functions import Now

OURS = ("integrations", "subscriptions", "deliveries", "notifications", "config")
#: Tables that grow with what is pushed: a lock on one of them for as long as it takes to read it stops everything.
LARGE = {
    "deliveries": {
        "delivery",
        "attempt",
        "event",
        "record",
        "revision",
        "idempotencykey",
        "failuregroup",
        "statslot",
        "eventdocument",
        "deliverydocument",
        "recorddocument",
    },
    "integrations": {"auditentry"},
    "notifications": {"notification", "channelmessage"},
}
#: The last ones of version 0.1.0, before which nothing was in use. Their names begin with numbers that grow.
FIRST_VERSION = {
    "config": "0040_login_limit",
    "deliveries": "0101_words",
    "integrations": "0111_no_config_version_index",
    "notifications": "0101_words",
    "subscriptions": "0101_words",
}
#: (app, migration) → why it may do what is refused below.
ALLOWED: dict[tuple[str, str], str] = {}

_BAD_SQL = (
    (r"\bcreate\s+(unique\s+)?index\s+(?!concurrently)", "CREATE INDEX locks out writers: make it CONCURRENTLY"),
    (r"\bset\s+not\s+null\b", "SET NOT NULL reads the whole table under a lock"),
    (
        r"\badd\s+constraint\b(?!.*\bnot\s+valid\b)",
        "ADD CONSTRAINT reads the whole table: add it NOT VALID, then VALIDATE",
    ),
    (r"\b(update|delete\s+from)\s+\"?(?:{tables})\b", "changes a large table in one go: do it in batches"),
    (r"\b(lock\s+table|vacuum\s+full|cluster)\b", "locks the table"),
    (r"\b(drop|rename)\s+column\b|\bdrop\s+table\b|\brename\s+to\b", "takes away what the version before still uses"),
    (r"\balter\s+column\b.*\btype\b", "ALTER COLUMN … TYPE rewrites the table under a lock"),
)


def offences() -> list[str]:
    """Of all our migrations after the first version, each as a sentence.

    Those that squashed ones replace passed before they were replaced, and are not looked at any more.
    """
    loader = MigrationLoader(None)
    state, found = ProjectState(), []
    for key in _plan(loader):
        migration = loader.get_migration(*key)
        if key[0] in OURS and key[1] > FIRST_VERSION.get(key[0], "") and key not in ALLOWED:
            found += [f"{key[0]}.{key[1]}: {why}" for why in troubles(migration, state)]
        state = migration.mutate_state(state, preserve=False)
    return found


def _plan(loader: MigrationLoader) -> Iterator[tuple[str, str]]:
    seen = set()
    for leaf in loader.graph.leaf_nodes():
        for key in loader.graph.forwards_plan(leaf):
            if key not in seen:
                seen.add(key)
                yield key


def troubles(migration: Migration, state: ProjectState) -> Iterator[str]:
    """What the migration must not do to tables that are in use; `state` is the one before it."""
    state, made = state.clone(), set()
    for operation in migration.operations:
        if isinstance(operation, operations.CreateModel):
            made.add(operation.name_lower)
        for one in _on_the_database(operation):
            yield from _trouble(one, migration, state, made)
        operation.state_forwards(migration.app_label, state)


def _on_the_database(operation: Any) -> Iterable[Any]:
    is_split = isinstance(operation, operations.SeparateDatabaseAndState)
    return operation.database_operations if is_split else [operation]


def _trouble(operation: Any, migration: Migration, state: ProjectState, made: set[str]) -> Iterator[str]:
    what = operation.describe()
    if isinstance(operation, operations.RunSQL | operations.RunPython):
        yield from (f"{what}: {why}" for why in _of_code(operation, migration))
        return
    name = str(getattr(operation, "model_name_lower", None) or getattr(operation, "name_lower", ""))
    if name in made:
        return  # it is empty, and nobody knows it yet
    if isinstance(operation, operations.AddField):
        yield from (f"{what}: {why}" for why in _of_new_field(operation.field, is_large=_is_large(migration, name)))
    elif isinstance(operation, operations.DeleteModel | operations.RemoveField | operations.RenameField
                    | operations.RenameModel | operations.AlterModelTable):  # fmt: skip
        yield f"{what}: the version before, which still runs, uses it. Do it one release later"
    elif _is_large(migration, name):
        yield from (f"{what}: {why}" for why in _of_large(operation, migration, state))


def _is_large(migration: Migration, name: str) -> bool:
    return name in LARGE.get(migration.app_label, ())


def _of_new_field(field: Any, *, is_large: bool) -> Iterator[str]:
    if isinstance(field, models.ManyToManyField):
        return
    has_default = field.db_default is not models.NOT_PROVIDED
    if not field.null and not has_default:
        yield "INSERTs of the version before name no such column: give it null=True or a db_default"
    if not is_large:
        return
    if isinstance(field, models.GeneratedField):
        yield "a generated column rewrites the table under a lock"
    if (
        has_default
        and hasattr(field.db_default, "resolve_expression")
        and not isinstance(field.db_default, models.Value | Now)
    ):
        yield "a db_default that differs by row rewrites the table under a lock"
    if field.unique or field.db_index:
        yield "its index is made under a lock: db_index=False, and AddIndexOnline (integrations/foundation/online_migrations.py)"
    if field.is_relation and field.db_constraint:
        yield "its constraint reads the table under a lock: db_constraint=False"


def _of_large(operation: Any, migration: Migration, state: ProjectState) -> Iterator[str]:
    if isinstance(operation, operations.AddIndex):
        if type(operation).__name__ not in ("AddIndexOnline", "AddIndexConcurrently"):
            yield "the index is made under a lock: use AddIndexOnline (integrations/foundation/online_migrations.py)"
        elif migration.atomic:
            yield "CREATE INDEX CONCURRENTLY needs atomic = False in the migration"
    elif isinstance(operation, operations.AddConstraint):
        yield "the constraint reads the table under a lock: add it NOT VALID by RunSQL, validate it in a later migration"
    elif isinstance(operation, operations.AlterField):
        old = state.models[migration.app_label, operation.model_name_lower].fields[operation.name]
        if _is_rewritten(old, operation.field):
            yield "the column is rewritten, or read as a whole, under a lock: add another one beside it"
    elif isinstance(operation, operations.AlterUniqueTogether | operations.AlterOrderWithRespectTo):
        yield "the index is made under a lock"


def _is_rewritten(old: Any, new: Any) -> bool:
    if type(old) is not type(new) or (old.null and not new.null) or (new.db_index and not old.db_index):
        return True
    if (
        isinstance(new, models.CharField)
        and old.max_length
        and (not new.max_length or new.max_length >= old.max_length)
    ):
        return bool(new.unique and not old.unique)
    editor: Any = connection.schema_editor(collect_sql=True, atomic=False)  # not entered: it asks no database
    for field in (old, new):
        field.set_attributes_from_name(field.name or "field")
    is_altered: bool = editor._field_should_be_altered(old, new)
    only_looser = new.null and not old.null and old.deconstruct()[3] | {"null": True} == new.deconstruct()[3]
    return is_altered and not only_looser


def _of_code(operation: Any, migration: Migration) -> Iterator[str]:
    tables = "|".join(f"{app}_{name}" for app, names in LARGE.items() for name in names)
    text = "\n".join(_texts(operation))
    for pattern, why in _BAD_SQL:
        if re.search(pattern.replace("{tables}", tables), text, re.IGNORECASE | re.DOTALL):
            yield why
    if isinstance(operation, operations.RunPython) and migration.atomic:
        names = "|".join(name for models_ in LARGE.values() for name in models_)
        if re.search(
            rf"get_model\(\s*[\"'][\w.]+[\"'.](\s*,\s*[\"'])?({names})[\"']", text, re.IGNORECASE
        ) or re.search(rf"get_model\(\s*[\"']\w+\.({names})[\"']", text, re.IGNORECASE):
            yield "goes through a large table in one transaction: atomic = False, and batches with one each"


def _texts(operation: Any) -> Iterator[str]:
    """The SQL; of a function its source and the texts that it was made with."""
    if isinstance(operation, operations.RunSQL):
        parts = operation.sql if isinstance(operation.sql, list | tuple) else [operation.sql]
        yield from (part if isinstance(part, str) else part[0] for part in parts)
        return
    yield inspect.getsource(operation.code)
    for cell in operation.code.__closure__ or ():
        if isinstance(cell.cell_contents, str):
            yield cell.cell_contents


def main() -> int:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    found = offences()
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
