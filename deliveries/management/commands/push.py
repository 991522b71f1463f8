"""`manage.py push FILE`: push objects from a file, like the push API."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import CommandError, CommandParser

from deliveries.ingest import push_objects
from deliveries.management.cli import accepted, caller, progress_bar
from integrations.foundation.strict_json import DocumentError, dump_document, parse_document
from integrations.management.base import ReportCommand, find_store
from integrations.security.tokens import Principal

#: Objects of one transaction.
BATCH = 500


class Command(ReportCommand):
    help = (
        'Push objects: a JSON file {"shipments": [{"id": …}]} is stored whole or not at all; of NDJSON (one such '
        "document per line, or with --type one object per line) up to 500 objects at a time."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", help="File name, or - for standard input.")
        parser.add_argument("--store", help="Name or id of the store (optional if there is only one).")
        parser.add_argument("--token", help="Push with this token's permissions and name.")
        parser.add_argument(
            "--type", dest="plural", help="The input is NDJSON of bare objects of this type, such as shipments."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        store = find_store(options["store"])
        counts: Counter[str] = Counter()
        with (
            _opened(options["file"]) as source,
            caller(store, options["token"]) as principal,
            progress_bar("Pushing", None) as advance,
        ):
            for where, document in _documents(source, options["plural"]):
                answer = _push(principal, where, document, counts.total())
                counts.update(answer)
                advance(sum(answer.values()))
        text = ", ".join(f"{count:,} {plural}" for plural, count in counts.items()) or "nothing"
        self.report(options, dict(counts), f"Accepted: {text}.")


def _push(principal: Principal, where: str, document: Any, done: int) -> dict[str, int]:
    raw = dump_document(document).encode()
    try:
        answer: dict[str, int] = accepted(lambda: push_objects(principal=principal, document=document, raw=raw))
    except CommandError as error:
        raise CommandError(
            f"{where}{error} ({done:,} objects were stored before that.)" if where else str(error)
        ) from None
    return answer


def _opened(name: str) -> BinaryIO:
    if name == "-":
        return sys.stdin.buffer
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}.") from None


def _documents(source: BinaryIO, plural: str | None) -> Iterator[tuple[str, Any]]:
    """Bodies of pushes, each with its location ("" for a whole file). NDJSON is read line by line."""
    first = source.readline()
    if plural is None and not _is_document(first):
        try:
            yield "", parse_document(first + source.read())
        except DocumentError as error:
            raise CommandError(f"This is not JSON: {error}") from None
        return
    yield from _batches(chain([first], source), plural)


def _is_document(line: bytes) -> bool:
    try:
        parse_document(line)
    except DocumentError:
        return False
    return True


def _batches(source: Iterable[bytes], plural: str | None) -> Iterator[tuple[str, Any]]:
    batch: dict[str, list[Any]] = {}
    size, first, number = 0, 1, 0
    for number, line in enumerate(source, start=1):
        if not line.strip():
            continue
        for key, items in _of_line(line, number, plural).items():
            batch.setdefault(key, []).extend(items)
            size += len(items)
        if size >= BATCH:
            yield f"Lines {first} to {number}: ", batch
            batch, size, first = {}, 0, number + 1
    if batch:
        yield f"Lines {first} to {number}: " if number > 1 else "", batch


def _of_line(line: bytes, number: int, plural: str | None) -> dict[str, list[Any]]:
    try:
        document = parse_document(line)
    except DocumentError as error:
        raise CommandError(f"Line {number} is not JSON: {error}") from None
    if plural is not None:
        return {plural: [document]}
    if not isinstance(document, dict) or not all(isinstance(items, list) for items in document.values()):
        raise CommandError(f'Line {number} is not {{"<plural type>": [ … ]}}. For bare objects, pass --type.')
    return document
