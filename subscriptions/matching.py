"""Matches events to subscriptions: normalises topics and intents, and indexes subscriptions by them. Pure.

The notation is part of the contract (docs/contract.md#subscriptions-api).

Topics are dotted words, `shipment.updated`; patterns of a subscription are

- one topic: `shipment.updated`
- all below a word: `shipment.*`, `user.email.*`
- a bare word, itself and all below it: `shipment`, `conversation`
- everything but Hookdesk's own topics, `hookdesk.…`: `all` or `*`

Whole words are compared: `user` does not match `username.created`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from django.utils.translation import gettext as _

from integrations.foundation.languages import gettext_noop

T = TypeVar("T")
Singular = Callable[[str], str]

LENGTH_LIMIT: Final = 255
EVERYTHING: Final = frozenset({"all", "*"})
#: What Hookdesk itself publishes. No program may use these topics, and `*` does not take them: `hookdesk.*` does.
OWN_TOPICS: Final = "hookdesk."
_OWN_WORDS: Final = frozenset({"hookdesk", "hookdesks"})
#: The topic that subscriptions narrow down by `metadata.event_names`, as in Intercom.
CUSTOM_EVENT: Final = "event.created"

_VERBS: Final = {"create": "created", "new": "created", "update": "updated", "delete": "deleted"}
_TOPIC = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SPELLINGS_REMEMBERED: Final = 2048


def _unchanged(word: str) -> str:
    return word


def normalise_topic(text: str, singular: Singular = _unchanged) -> str:
    """Return the canonical form of a topic pattern, in which it is stored and compared.

    `users.created` → `user.created`, `shipments.update` → `shipment.updated`, `shipments.*` → `shipment.*`; `all` and
    `*` are unchanged. `singular` maps a plural to its singular in the store. Raises ValueError for staff.
    """
    pattern = text.strip()
    if pattern in EVERYTHING:
        return pattern
    _check_length(pattern, _TOPIC_LENGTH)
    plain = pattern.removesuffix(".*")
    if "*" in plain:
        raise ValueError(
            _("The topic %(pattern)r has a misplaced *. Write it at the end (shipment.*), or alone for all.")
            % {"pattern": pattern}
        )
    _check_characters(plain)
    return _spelled(pattern, singular)


def check_topic(text: str) -> str:
    """Return the topic of an event, unchanged. Raises ValueError with a message for staff, also for a pattern."""
    _check_length(text, _TOPIC_LENGTH)
    _check_characters(text)
    return text


def check_topic_is_free(text: str) -> str:
    """`check_topic` for a topic that programs are to use."""
    if is_own_topic(text):
        raise ValueError(
            _("The topic %(text)r is one of Hookdesk's own: those begin with hookdesk. Choose another name.")
            % {"text": text}
        )
    return check_topic(text)


def is_own_topic(topic: str) -> bool:
    """Whether only Hookdesk itself publishes it, however it is spelled."""
    return topic.startswith(OWN_TOPICS) or topic.partition(".")[0].lower() in _OWN_WORDS


def check_intent(text: str) -> str:
    """Return an intent, or `*` for all intents, unchanged. Raises ValueError with a message for staff."""
    _check_length(text, _INTENT_LENGTH)
    if _CONTROL.search(text):
        raise ValueError(_("The intent contains a control character, such as a line break. Remove it."))
    return text


_TOPIC_LENGTH: Final = (
    gettext_noop("The topic is empty. Give it a name."),
    gettext_noop("The topic has %(number)s characters; %(limit)s is the most. Shorten it."),
)
_INTENT_LENGTH: Final = (
    gettext_noop("The intent is empty. Give it a name."),
    gettext_noop("The intent has %(number)s characters; %(limit)s is the most. Shorten it."),
)


def _check_length(text: str, messages: tuple[str, str]) -> None:
    if not text:
        raise ValueError(_(messages[0]))
    if len(text) > LENGTH_LIMIT:
        raise ValueError(_(messages[1]) % {"number": len(text), "limit": LENGTH_LIMIT})


def _check_characters(topic: str) -> None:
    if not _TOPIC.fullmatch(topic):
        raise ValueError(
            _(
                "The topic %(topic)r is not valid. Write words of letters, digits, _ and - with single "
                "dots between them, such as shipment.updated."
            )
            % {"topic": topic}
        )


def _spelled(pattern: str, singular: Singular) -> str:
    first, *others = pattern.split(".")
    if others and others[-1] in _VERBS:
        others[-1] = _VERBS[others[-1]]
    return ".".join([singular(first), *others])


@dataclass(frozen=True, slots=True)
class Interest:
    """The topics and intents of one subscription. `event_names` restrict the topic `event.created` only."""

    topics: tuple[str, ...] = ()
    intents: tuple[str, ...] = ()
    event_names: tuple[str, ...] = ()


class SubscriptionIndex(Generic[T]):
    """Finds the subscriptions for an event with a few dictionary lookups, however many subscriptions there are.

    Topics of events are normalised as those of subscriptions are, so a subscription to `payments.update` matches an
    event sent as `payments.update`. Use the same `singular` for both. Immutable, hence thread-safe.
    """

    def __init__(self, pairs: Iterable[tuple[Interest, T]], *, singular: Singular = _unchanged) -> None:
        self._subscribers: list[T] = []
        self._everything: list[int] = []
        self._exact: defaultdict[str, list[int]] = defaultdict(list)
        self._below: defaultdict[str, list[int]] = defaultdict(list)
        self._intents: defaultdict[str, list[int]] = defaultdict(list)
        self._event_names: defaultdict[str, list[int]] = defaultdict(list)
        self._singular = singular
        self._spellings: dict[str, str] = {}
        for position, (interest, subscriber) in enumerate(pairs):
            self._subscribers.append(subscriber)
            self._add(position, interest)

    def __len__(self) -> int:
        return len(self._subscribers)

    def _add(self, position: int, interest: Interest) -> None:
        for topic in interest.topics:
            self._add_topic(position, topic, interest.event_names)
        for intent in interest.intents:
            self._intents[intent].append(position)

    def _add_topic(self, position: int, topic: str, event_names: tuple[str, ...]) -> None:
        if topic in EVERYTHING:
            self._everything.append(position)
            return
        pattern = _spelled(topic, self._singular)
        if pattern == CUSTOM_EVENT:
            for name in event_names:
                self._event_names[name].append(position)
        elif pattern.endswith(".*"):
            self._below[pattern.removesuffix(".*")].append(position)
        else:
            self._exact[pattern].append(position)
            if "." not in pattern:
                self._below[pattern].append(position)

    def matching(self, topic: str | None, intent: str | None, data: Any) -> list[T]:
        """Return the subscribers to this topic and/or intent, each once, in the order in which they were given.

        `data` is read for `event_name` only, if the topic is `event.created`.
        """
        lists = []
        if topic:
            lists += self._lists_of_topic(topic, data)
        if intent:
            lists += [self._intents.get(intent, []), self._intents.get("*", []) if intent != "*" else []]
        found = [positions for positions in lists if positions]
        if len(found) == 1 and len(found[0]) == 1:
            return [self._subscribers[found[0][0]]]
        return [self._subscribers[position] for position in sorted({position for each in found for position in each})]

    def _lists_of_topic(self, topic: str, data: Any) -> list[list[int]]:
        spelling = self._spelling(topic)
        lists = [] if topic.startswith(OWN_TOPICS) else [self._everything]
        lists.append(self._exact.get(spelling, []))
        dot = spelling.find(".")
        while dot >= 0:
            lists.append(self._below.get(spelling[:dot], []))
            dot = spelling.find(".", dot + 1)
        if spelling == CUSTOM_EVENT and isinstance(data, dict):
            name = data.get("event_name")
            if isinstance(name, str):
                lists.append(self._event_names.get(name, []))
        return lists

    def _spelling(self, topic: str) -> str:
        spelling = self._spellings.get(topic)
        if spelling is None:
            if len(self._spellings) >= _SPELLINGS_REMEMBERED:
                self._spellings.clear()
            spelling = self._spellings[topic] = _spelled(topic, self._singular)
        return spelling
