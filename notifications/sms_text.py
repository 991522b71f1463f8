"""The text of an SMS, in at most so many parts. Pure.

A part has room for 160 characters of the GSM 7-bit alphabet (3GPP TS 23.038), but for only 70 once a single character
is not in it; where there are several parts, for 153 or 67. So what has a near equivalent there is written with it: `ê`
as `e`, `→` as `>`. A text in another script stays as it is and gets more parts, as the link alone fills one and a half.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_ALPHABET: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
#: Each takes the room of two.
_EXTENSION: Final = frozenset("^{}\\[~]|€")
_GSM: Final = _ALPHABET | _EXTENSION
_NEAR: Final = {
    "→": ">", "←": "<", "…": "...", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "‚": "'",
    "‹": "'", "›": "'", "–": "-", "—": "-", "−": "-", "•": "-", "·": ".", "×": "x", "œ": "oe", "Œ": "OE", "ẞ": "SS",
    "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ı": "i",
}  # fmt: skip
#: Units of a message with two parts, or with four in another script. One less for each border between parts: what takes
#: two units stands on one side of it.
_GSM_ROOM: Final = 2 * 153 - 1
_OTHER_ROOM: Final = 4 * 67 - 3


def sms(words: str, link: str) -> str:
    """Return both, with the words cut so that the link is whole; without the link if it leaves no room for words."""
    simple = _simplified(words)
    is_gsm = _GSM.issuperset(simple + link)
    text, ellipsis, room = (simple, "...", _GSM_ROOM) if is_gsm else (words, "…", _OTHER_ROOM)
    left = room - _width(f" {link}", is_gsm=is_gsm)
    if left < room // 10:
        return _cut(text, room, ellipsis, is_gsm=is_gsm)
    return f"{_cut(text, left, ellipsis, is_gsm=is_gsm)} {link}"


def _simplified(text: str) -> str:
    composed = unicodedata.normalize("NFC", text)
    return "".join(character if character in _GSM else _nearest(character) for character in composed)


def _nearest(character: str) -> str:
    """Return it written with the alphabet's characters; itself if that is not possible."""
    near = _NEAR.get(character) or "".join(
        each for each in unicodedata.normalize("NFKD", character) if not unicodedata.combining(each)
    )
    return near if near and _GSM.issuperset(near) else character


def _width(text: str, *, is_gsm: bool) -> int:
    """Return the units that a text takes: septets, or pairs of bytes."""
    if is_gsm:
        return len(text) + sum(character in _EXTENSION for character in text)
    return len(text) + sum(character > "\uffff" for character in text)


def _cut(text: str, room: int, ellipsis: str, *, is_gsm: bool) -> str:
    if _width(text, is_gsm=is_gsm) <= room:
        return text
    left = room - _width(ellipsis, is_gsm=is_gsm)
    end = 0
    for end, character in enumerate(text):  # noqa: B007
        left -= _width(character, is_gsm=is_gsm)
        if left < 0:
            break
    return f"{text[:end].rstrip()}{ellipsis}"
