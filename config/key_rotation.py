"""Re-encrypting everything with the first of ENCRYPTION_KEYS, while the system runs.

Values are read and written as ciphertext, in batches, each by an UPDATE that matches only while the value is still
the one that was read: what is changed in between is encrypted with the first key anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from allauth.mfa.models import Authenticator
from django.apps import apps
from django.db import connection, models, transaction

from deliveries.models import Attempt
from integrations.security.encrypted_fields import EncryptedJSONField, EncryptedTextField
from integrations.security.encryption import DecryptionError, reencrypt


@dataclass(frozen=True, slots=True)
class Column:
    """A database column that holds ciphertext; `condition` is SQL that selects the rows that do."""

    model: type[models.Model]
    field: Any
    condition: str = ""

    @property
    def label(self) -> str:
        return f"{self.model._meta.label}.{self.field.name}"


@dataclass(slots=True)
class Rotated:
    """`unreadable` names values that none of the keys decrypts, as `model.field pk`."""

    seen: int = 0
    changed: int = 0
    unreadable: list[str] = field(default_factory=list)


def encrypted_columns() -> list[Column]:
    found = [
        Column(model, candidate)
        for model in apps.get_models()
        for candidate in model._meta.local_concrete_fields
        if isinstance(candidate, EncryptedTextField | EncryptedJSONField)
    ]
    return [*found, Column(Attempt, Attempt._meta.get_field("request_body"), "is_body_encrypted")]


def rotate_keys(*, batch: int = 500, progress: Callable[[int], None] = lambda _: None) -> Rotated:
    """Encrypt with the first key everything that another one encrypted. Raises EncryptionKeyError. Idempotent."""
    rotated = Rotated()
    for column in encrypted_columns():
        for rows in _batches(column, batch):
            # Engines finish attempts in batches, in an order of their own: each is its own transaction here.
            with nullcontext() if column.model is Attempt else transaction.atomic():
                for key, token in rows:
                    _rotate(column, key, token, rotated)
            rotated.seen += len(rows)
            progress(len(rows))
    _rotate_second_factors(rotated)
    return rotated


def _rotate_second_factors(rotated: Rotated) -> None:
    """Secrets of authenticator apps and recovery codes: ciphertext inside allauth's documents."""
    for key in list(Authenticator.objects.order_by("pk").values_list("pk", flat=True)):
        with transaction.atomic():
            row = Authenticator.objects.select_for_update().filter(pk=key).first()
            name = next((each for each in ("secret", "seed") if row is not None and each in row.data), None)
            if row is None or name is None:
                continue
            rotated.seen += 1
            try:
                token = reencrypt(row.data[name])
            except DecryptionError:
                rotated.unreadable.append(f"{row._meta.label}.{name} {key}")
                continue
            if token is not None:
                row.data[name] = token
                row.save(update_fields=["data"])
                rotated.changed += 1


def _names(column: Column) -> tuple[str, str, str]:
    quote = connection.ops.quote_name
    pk = column.model._meta.pk
    assert pk is not None
    return quote(column.model._meta.db_table), quote(str(pk.column)), quote(column.field.column)


def _batches(column: Column, size: int) -> Iterator[list[tuple[Any, Any]]]:
    """By primary key, as the database itself orders them."""
    table, pk, name = _names(column)
    condition = f" AND {column.condition}" if column.condition else ""
    last: Any = None
    while True:
        beyond = f"{pk} > %s" if last is not None else "1 = 1"
        query = f"SELECT {pk}, {name} FROM {table} WHERE {beyond}{condition} ORDER BY {pk} LIMIT {size}"
        with connection.cursor() as cursor:
            cursor.execute(query, [last] if last is not None else [])
            rows = cursor.fetchall()
        if not rows:
            return
        last = rows[-1][0]
        yield [(row[0], row[1]) for row in rows if row[1]]


def _rotate(column: Column, key: Any, stored: Any, rotated: Rotated) -> None:
    is_text = isinstance(stored, str)
    try:
        token = reencrypt(stored if is_text else bytes(stored).decode("ascii"))
    except (DecryptionError, UnicodeDecodeError):
        rotated.unreadable.append(f"{column.label} {key}")
        return
    if token is None:
        return
    table, pk, name = _names(column)
    query = f"UPDATE {table} SET {name} = %s WHERE {pk} = %s AND {name} = %s"
    with connection.cursor() as cursor:
        cursor.execute(query, [token if is_text else token.encode(), key, stored if is_text else bytes(stored)])
        rotated.changed += cursor.rowcount
