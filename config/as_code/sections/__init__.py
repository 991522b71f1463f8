"""The sections of a configuration file, in the order in which they are applied. A new one is a module and a line."""

from __future__ import annotations

from config.as_code.sections.base import Context, Pair, Section, Values
from config.as_code.sections.channels import Channels
from config.as_code.sections.integrations import Integrations
from config.as_code.sections.recipes import Recipes
from config.as_code.sections.sources import Sources
from config.as_code.sections.stores import Stores
from config.as_code.sections.subscriptions import Subscriptions
from config.as_code.sections.topics import Topics

__all__ = ["SECTIONS", "Context", "Pair", "Section", "Values"]

SECTIONS: tuple[Section, ...] = (
    Stores(),
    Topics(),
    Integrations(),
    Sources(),
    Subscriptions(),
    Channels(),
    Recipes(),
)
