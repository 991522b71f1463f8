"""Merging, comparing and patching JSON documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import jsonpatch
import jsonpointer
from django.utils.translation import gettext as _

from integrations.foundation.json_paths import path_of_pointer
from integrations.foundation.strict_json import dump_document
from integrations.foundation.texts import shortened


class PatchDoesNotFit(ValueError):
    """The patch cannot be applied to this document; `reason` is a message for staff."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def merge_document(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return `old` with the top-level keys of `new` replaced; absent keys stay, in the order of `old`."""
    return {**old, **new}


def is_same(old: Any, new: Any) -> bool:
    """Return whether two JSON values are equal: `1` equals `1.0`, `true` is not a number, key order is ignored."""
    # Python's comparison only differs in that True equals 1, so its "no" is always right.
    return bool(old == new) and _has_same_booleans(old, new)


def _has_same_booleans(old: Any, new: Any) -> bool:
    if isinstance(old, dict):
        return all(_has_same_booleans(value, new[key]) for key, value in old.items())
    if isinstance(old, list):
        return all(_has_same_booleans(ours, theirs) for ours, theirs in zip(old, new, strict=True))
    return isinstance(old, bool) is isinstance(new, bool)


def json_patch(before: Any, after: Any) -> list[dict[str, Any]]:
    """Return the JSON Patch (RFC 6902) that turns `before` into `after`; empty if they are equal."""
    if is_same(before, after):
        return []
    patch: list[dict[str, Any]] = jsonpatch.make_patch(before, after).patch
    try:
        if is_same(apply_patch(before, patch), after):
            return patch
    except PatchDoesNotFit:
        pass
    # The library misses some differences and orders some moves wrongly; replacing the whole document is always right.
    return [{"op": "replace", "path": "", "value": after}]


def apply_patch(data: Any, patch: Sequence[Mapping[str, Any]]) -> Any:
    """Return a copy of `data` with the patch applied. Raises PatchDoesNotFit."""
    try:
        return jsonpatch.JsonPatch(patch).apply(data)
    except jsonpatch.InvalidJsonPatch as error:
        raise PatchDoesNotFit(_("This is not a JSON Patch (RFC 6902).")) from error
    except _PATCH_FAULTS as error:
        raise PatchDoesNotFit(_why_it_does_not_fit(data, patch)) from error


#: Besides its own errors, the library raises these for a document of another shape.
_PATCH_FAULTS: Final = (
    jsonpatch.JsonPatchException,
    jsonpointer.JsonPointerException,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)


def _why_it_does_not_fit(data: Any, patch: Sequence[Mapping[str, Any]]) -> str:
    """Return a message about the first step that fails."""
    for step in patch:
        try:
            data = jsonpatch.JsonPatch([step]).apply(data)
        except jsonpatch.JsonPatchTestFailed:
            # Not capitalised: the sentence may start with the name of a field.
            return _("%(place)s has another value here than the change relies on.") % {"place": _place(step["path"])}
        except _PATCH_FAULTS:
            try:
                words = {"step": _described(step)}
                return _("This step is not possible, as there is no such place in this document: %(step)s.") % words
            except _PATCH_FAULTS:
                break
    return _("This is not a JSON Patch (RFC 6902).")


def describe_patch(patch: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one sentence per step of a patch, for pages."""
    return [_described(step) for step in patch]


def _described(step: Mapping[str, Any]) -> str:
    operation, place = step["op"], _place(step["path"])
    match operation:
        case "add":
            return _("Add %(place)s: %(value)s") % {"place": place, "value": _shown(step["value"])}
        case "remove":
            return _("Remove %(place)s") % {"place": place}
        case "replace":
            return _("Change %(place)s to %(value)s") % {"place": place, "value": _shown(step["value"])}
        case "test":
            return _("Check that %(place)s is %(value)s") % {"place": place, "value": _shown(step["value"])}
        case "move":
            return _("Move %(source)s to %(place)s") % {"source": _place(step["from"]), "place": place}
        case "copy":
            return _("Copy %(source)s to %(place)s") % {"source": _place(step["from"]), "place": place}
    raise LookupError(operation)


def _place(pointer: str) -> str:
    """Return a JSON Pointer in the API's notation: `/items/0/name` → `items[0].name`."""
    outer, _slash, last = pointer.rpartition("/")
    if last == "-" and pointer:
        return _("%(place)s[at the end]") % {"place": path_of_pointer(outer)}
    place = path_of_pointer(pointer)
    return place or _("the whole document")


def _shown(value: Any) -> str:
    return shortened(dump_document(value), 60)
