"""The JSON Schema of a configuration file, for editors."""

from __future__ import annotations

from typing import Any

from config.as_code.document import VERSION
from config.as_code.sections import SECTIONS, Section


def json_schema() -> dict[str, Any]:
    """Draft 2020-12. Made of the same fields that `apply` knows."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Hookdesk configuration",
        "type": "object",
        "required": ["version"],
        "additionalProperties": False,
        "properties": {"version": {"const": VERSION}, **{each.name: _section(each) for each in SECTIONS}},
    }


def _section(section: Section) -> dict[str, Any]:
    """A list; or a mapping, whose keys are the slugs or names."""
    entry = section.schema()
    required = [section.key] if section.key else []
    found: dict[str, Any] = {
        "oneOf": [
            {"type": "array", "items": {**entry, "required": required}},
            {"type": "object", "additionalProperties": {**entry, "type": ["object", "null"]}},
            {"type": "null"},
        ]
    }
    return {"description": section.description, **found} if section.description else found
