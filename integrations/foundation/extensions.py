"""What installed packages add to Hookdesk, by entry points (docs/extending.md).

Each is loaded by itself: one that cannot be is kept with the reason, for `doctor`, and stops nothing else.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable, Collection, Iterator, MutableMapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final, TypeVar

from django.utils.functional import Promise

from integrations.foundation.texts import shortened

logger = logging.getLogger("hookdesk.extensions")

#: The versions of the interface that this Hookdesk speaks. A module may name its own: `HOOKDESK_INTERFACE = 1`.
INTERFACES: Final = (1,)
PREFIX: Final = "hookdesk."
GROUPS: Final = ("wire_formats", "connectors", "sources", "channels", "functions")

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
T = TypeVar("T")


class ExtensionError(Exception):
    """What a package brings cannot be used: a sentence for whoever wrote it."""


@dataclass(frozen=True, slots=True)
class Extension:
    """One entry point. `problem`: why it is not used; empty if it is."""

    group: str
    name: str
    package: str
    problem: str = ""


_extensions: list[Extension] = []


def extensions() -> list[Extension]:
    """All that were found, used or not, in the order in which they were loaded."""
    return list(_extensions)


def register(
    group: str,
    registry: MutableMapping[str, T],
    accept: Callable[[str, Any], T],
    *,
    longest: int,
    also_taken: Collection[str] = (),
) -> None:
    """Load the entry points of `group` and add what `accept` makes of them to `registry`, by their names.

    `accept(name, object)` raises ExtensionError for what cannot be used. `longest`: characters of a name. Names of
    `registry` and `also_taken` are refused. Raises nothing, whatever a package raises.
    """
    for point in entry_points(PREFIX + group):
        package = _package_of(point)
        problem = ""
        try:
            _check_name(group, point.name, longest)
            if point.name in registry or point.name in also_taken:
                raise ExtensionError(_taken_by(group, point.name))
            found = point.load()
            _check_interface(point)
            registry[point.name] = accept(point.name, found)
        except KeyboardInterrupt:
            raise
        except ExtensionError as error:
            problem = str(error)
        except BaseException as error:  # a package that exits while it is imported must not end Hookdesk
            problem = f"It cannot be loaded: {type(error).__name__}: {error}"
        if problem:
            problem = shortened(" ".join(problem.split()), 500)
            logger.warning("%s %r of the package %s is not used. %s", group, point.name, package, problem)
        _extensions.append(Extension(group, point.name, package, problem))


def entry_points(group: str) -> list[metadata.EntryPoint]:
    """The entry points of all installed packages in this group, by package and name."""
    found = [point for package in _packages() for point in package.entry_points if point.group == group]
    return sorted(found, key=lambda point: (_package_of(point), point.name))


def bring(found: Any, base: type, methods: Collection[str]) -> Any:
    """An instance of what an entry point names: a class that inherits from `base`, or an instance of one.

    Raises ExtensionError if it is no such thing, or leaves one of the methods out.
    """
    made = found() if isinstance(found, type) and base in found.__mro__ else found
    if base not in type(made).__mro__:
        raise ExtensionError(f"It is {found!r}; a class inheriting from {base.__name__} is needed.")
    check_class(type(made), base, methods)
    return made


def check_class(kind: type, base: type, methods: Collection[str]) -> None:
    """Raises ExtensionError unless the class has its own methods, a label and a description."""
    for name in methods:
        if getattr(kind, name) is getattr(base, name):
            raise ExtensionError(f"{kind.__name__} has no method {name}().")
    for name in ("label", "description"):
        # A text that is translated when it is shown is a promise of one.
        if not isinstance(text := getattr(kind, name, None), str | Promise) or not str(text).strip():
            raise ExtensionError(f"{kind.__name__} has no {name}.")


@cache
def _packages() -> list[metadata.Distribution]:
    """Those that bring something for Hookdesk, each once.

    The standard library's way reads and parses the metadata of every installed package, which takes ten times as long.
    """
    found: dict[str, metadata.Distribution] = {}
    for folder in sys.path:
        for path in _with_entry_points(folder or "."):
            package = metadata.PathDistribution(path)
            found.setdefault(package.metadata["Name"] or path.name, package)
    return list(found.values())


def _with_entry_points(folder: str) -> Iterator[Path]:
    try:
        names = sorted(each.name for each in os.scandir(folder) if each.name.endswith((".dist-info", ".egg-info")))
    except OSError:
        return
    for name in names:
        path = Path(folder, name)
        try:
            text = (path / "entry_points.txt").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if f"[{PREFIX}" in text:
            yield path


def _package_of(point: metadata.EntryPoint) -> str:
    return f"{point.dist.metadata['Name']} {point.dist.version}" if point.dist is not None else point.value


def _taken_by(group: str, name: str) -> str:
    others = [each.package for each in _extensions if each.name == name and each.group == group and not each.problem]
    owner = f"the package {others[0]}" if others else "Hookdesk itself"
    return f"The name {name!r} belongs to {owner}. Give the entry point another name."


def _check_name(group: str, name: str, longest: int) -> None:
    if group == "functions":
        is_name, words = name.isidentifier() and name.isascii(), "letters, digits and underscores"
    else:
        is_name, words = bool(_NAME.fullmatch(name)), "lower-case letters, digits, hyphens and underscores"
    if not is_name or len(name) > longest:
        raise ExtensionError(f"{name!r} is no name for it: that is 1 to {longest} {words}, beginning with a letter.")


def _check_interface(point: metadata.EntryPoint) -> None:
    wanted = getattr(sys.modules.get(point.module), "HOOKDESK_INTERFACE", INTERFACES[-1])
    if wanted not in INTERFACES:
        spoken = ", ".join(map(str, INTERFACES))
        raise ExtensionError(f"It is written for version {wanted} of the interface; this Hookdesk has {spoken}.")
