"""Secrets in a configuration file: `{env: NAME}` or `{file: PATH}`, never the value itself."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

#: Characters of a secret in a file.
FILE_LIMIT: Final = 64 * 1024
#: Hookdesk's own: whoever writes a configuration file must not be able to send them somewhere.
PRIVATE_NAMES: Final = frozenset({"SECRET_KEY", "ENCRYPTION_KEYS", "DATABASE_URL", "REDIS_URL", "EMAIL_URL"})
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")

Place = tuple[str | int, ...]


class SecretText(str):
    """A value that is never printed or written into a file."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "***"


class UnknownReference(ValueError):
    """The reference leads nowhere: a sentence that says what to do."""


@dataclass(frozen=True)
class Surroundings:
    """Where references lead: the environment, and the folder that paths of files are relative to."""

    environment: Mapping[str, str]
    folder: Path

    def value_of(self, reference: Mapping[str, str]) -> SecretText:
        """Raises UnknownReference."""
        if "env" in reference:
            return self._variable(reference["env"])
        return self._file(reference["file"])

    def _variable(self, name: str) -> SecretText:
        if not _NAME.fullmatch(name):
            raise UnknownReference(f"{name[:60]!r} is not the name of an environment variable, such as SHOP_TOKEN.")
        if name in PRIVATE_NAMES:
            raise UnknownReference(f"{name} belongs to Hookdesk itself and cannot be used here.")
        if name not in self.environment:
            raise UnknownReference(f"The environment variable {name} is not set.")
        return SecretText(self.environment[name])

    def _file(self, name: str) -> SecretText:
        path = self.folder / name
        try:
            with path.open(encoding="utf-8", newline="") as file:
                text = file.read(FILE_LIMIT + 1)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
            raise UnknownReference(f"The file {name} cannot be read: {why}.") from None
        if len(text) > FILE_LIMIT:
            raise UnknownReference(f"The file {name} has more than {FILE_LIMIT:,} characters: that is no secret.")
        return SecretText(text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text)


def is_reference(value: Any) -> bool:
    """Whether it is `{env: NAME}` or `{file: PATH}`."""
    if not isinstance(value, dict) or len(value) != 1:
        return False
    [(kind, name)] = value.items()
    return kind in ("env", "file") and isinstance(name, str) and bool(name)


def resolved(value: Any, place: Place, around: Surroundings, wrong: list[tuple[Place, str]]) -> Any:
    """`value` with each reference in it replaced by what it leads to. Adds to `wrong` what leads nowhere."""
    if is_reference(value):
        try:
            return around.value_of(value)
        except UnknownReference as error:
            wrong.append((place, str(error)))
            return SecretText("")
    if isinstance(value, dict):
        return {key: resolved(inner, (*place, key), around, wrong) for key, inner in value.items()}
    if isinstance(value, list):
        return [resolved(inner, (*place, number), around, wrong) for number, inner in enumerate(value)]
    return value


def as_secret(value: Any) -> Any:
    """`value` with every text in it, which is not empty, marked as a secret."""
    return mapped_texts(value, lambda text: SecretText(text) if text else text)


def mapped_texts(value: Any, change: Callable[[str], Any]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: mapped_texts(inner, change) for key, inner in value.items()}
    return [mapped_texts(inner, change) for inner in value] if isinstance(value, list) else value


def secrets_in(value: Any, place: Place = ()) -> Iterator[Place]:
    """Where secrets stand in it."""
    if isinstance(value, SecretText):
        yield place
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from secrets_in(inner, (*place, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from secrets_in(inner, (*place, number))


def masked(value: Any) -> Any:
    """For people and logs."""
    return mapped_texts(value, lambda text: "***" if isinstance(text, SecretText) else text)


@dataclass
class Names:
    """Gives each secret of an export the name of an environment variable: the same each time, and no name twice."""

    taken: set[str] = field(default_factory=set)

    def referenced(self, value: Any, words: Sequence[str | int]) -> Any:
        """`value` with each secret in it replaced by `{env: NAME}`; the name is made of `words` and its place."""
        if isinstance(value, SecretText):
            return {"env": self._free(_variable_name(words))} if value else ""
        if isinstance(value, dict):
            return {key: self.referenced(inner, [*words, key]) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.referenced(inner, [*words, number + 1]) for number, inner in enumerate(value)]
        return value

    def _free(self, wanted: str) -> str:
        name, number = wanted, 2
        while name in self.taken or name in PRIVATE_NAMES:
            name, number = f"{wanted}_{number}", number + 1
        self.taken.add(name)
        return name


def _variable_name(words: Sequence[str | int]) -> str:
    plain = (unicodedata.normalize("NFKD", str(word)).encode("ascii", "ignore").decode() for word in words)
    parts = [part for word in plain if (part := re.sub(r"[^A-Za-z0-9]+", "_", word).strip("_").upper())]
    name = "_".join(parts)[:180].rstrip("_") or "SECRET"
    return name if not name[0].isdigit() else f"_{name}"
