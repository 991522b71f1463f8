"""Names of object types: objects are pushed as `shipments`; their records and topics are named `shipment`.

Singulars come from `inflection.singularize`, except for words with equal singular and plural
(docs/contract.md#push-api). The library is a port of Rails' inflector, which turns `sms` into `sm`, `quota` into
`quotum` and `waves` into `wafe`; the lists below correct such words. Only the last word of a compound (`line_items`,
`sales-news`) is inflected.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import inflection
from django.utils.translation import gettext as _

#: The form of a key in a push. `\Z` instead of `$`, which would accept a trailing newline.
KEY_PATTERN: Final = re.compile(r"^[a-z][a-z0-9_-]*\Z", re.ASCII)
#: Maximum length of a name, and number of a store's own words.
NAME_LIMIT: Final = 200
OVERRIDES_LIMIT: Final = 1_000


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Words with equal singular and plural.
_UNCHANGING: Final = _words(
    """
    aircraft analytics billing clothes data deer economics electronics equipment feedback fish furniture gallows
    goods hardware headquarters information jeans logistics luggage mathematics means media metadata
    mms money moose multimedia news offspring pants physics police politics premises rice rss salmon scissors series
    sheep shorts sms software spacecraft species staff trousers
    """
)

#: Singulars that end in s; their plurals end in -ses or -sses.
_SINGULARS_IN_S: Final = _words(
    """
    access address alias apparatus atlas bias bonus bus business cactus campus canvas census chaos class consensus
    corpus cosmos css dns focus gas genius gps https iris lens minus pos process radius status surplus terminus tls
    tos ups virus vps
    """
)

#: Plurals that neither the lists above nor the library's rules handle correctly. All others in -ves lose only the s.
_IRREGULAR: Final = {
    "axes": "axis",
    "bacteria": "bacterium",
    "bases": "base",
    "brownies": "brownie",
    "caches": "cache",
    "calories": "calorie",
    "calves": "calf",
    "cookies": "cookie",
    "criteria": "criterion",
    "feet": "foot",
    "geese": "goose",
    "halves": "half",
    "headaches": "headache",
    "heroes": "hero",
    "hooves": "hoof",
    "hypotheses": "hypothesis",
    "knives": "knife",
    "leaves": "leaf",
    "lives": "life",
    "loaves": "loaf",
    "memoranda": "memorandum",
    "menus": "menu",
    "movies": "movie",
    "niches": "niche",
    "oases": "oasis",
    "phenomena": "phenomenon",
    "pies": "pie",
    "scarves": "scarf",
    "selfies": "selfie",
    "selves": "self",
    "shelves": "shelf",
    "smoothies": "smoothie",
    "taxis": "taxi",
    "teeth": "tooth",
    "thieves": "thief",
    "ties": "tie",
    "wives": "wife",
    "wolves": "wolf",
}
_IRREGULAR_PLURALS: Final = {single: many for many, single in _IRREGULAR.items()}

_LAST_WORD = re.compile(r"^(.*[_-])?([^_-]+)$", re.DOTALL)


def singular(plural_name: str, overrides: Mapping[str, str] | None = None) -> str:
    """`shipments` → `shipment`, `line_items` → `line_item`, `sms` → `sms`; a singular is returned unchanged.

    `overrides` (`{plural: singular}`, whole names) are a store's own words and take precedence.
    """
    if overrides and plural_name in overrides:
        return overrides[plural_name]
    return _inflected(plural_name, is_plural_wanted=False)


def check_overrides(value: Any) -> None:
    """Raise ValueError unless `value` has the form `{plural: singular}`, both valid names of object types."""
    if not isinstance(value, dict):
        raise ValueError(_('Write an object of plurals and their singulars, such as {"kudos": "kudos"}.'))
    if len(value) > OVERRIDES_LIMIT:
        raise ValueError(
            _("These are %(number)s words; at most %(limit)s are allowed.")
            % {"number": len(value), "limit": OVERRIDES_LIMIT}
        )
    for word in (word for pair in value.items() for word in pair):
        if not isinstance(word, str) or len(word) > NAME_LIMIT or not KEY_PATTERN.match(word):
            shown = str(word)[:40] if isinstance(word, str) else type(word).__name__
            raise ValueError(
                _(
                    "%(shown)r is not the name of an object type. A name begins with a small letter and has small "
                    "letters, digits, hyphens and underscores, at most %(limit)s of them."
                )
                % {"shown": shown, "limit": NAME_LIMIT}
            )


def plural(singular_name: str) -> str:
    """`shipment` → `shipments`, `user_status` → `user_statuses`, `sms` → `sms`: the key of a push for this type."""
    return _inflected(singular_name, is_plural_wanted=True)


@lru_cache(maxsize=4096)
def _inflected(name: str, *, is_plural_wanted: bool) -> str:
    match = _LAST_WORD.match(name)
    if match is None:
        return name
    inflect = _plural_word if is_plural_wanted else _singular_word
    return (match[1] or "") + inflect(match[2])


def _singular_word(word: str) -> str:
    """Return the singular of one word. Keys inside a payload may have capitals, which are kept."""
    lowered = word.lower()
    # Words of one or two letters (`us`, `os`, `s`) are not plurals.
    if len(word) < 3 or lowered in _UNCHANGING or lowered in _SINGULARS_IN_S:
        return word
    if lowered in _IRREGULAR:
        return word[0] + _IRREGULAR[lowered][1:]
    if lowered.endswith("es") and lowered[:-2] in _SINGULARS_IN_S:
        return word[:-2]
    if lowered.endswith(("a", "sis")):
        return word  # already singular: quota, beta, analysis, basis
    if lowered.endswith("ves"):
        return word[:-1]
    return inflection.singularize(word)


def _plural_word(word: str) -> str:
    if word in _UNCHANGING:
        return word
    if word in _IRREGULAR_PLURALS:
        return _IRREGULAR_PLURALS[word]
    if word in _SINGULARS_IN_S:
        return f"{word}es"
    if word.endswith(("a", "ve")):
        return f"{word}s"
    return inflection.pluralize(word)
