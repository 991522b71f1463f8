"""The one interface of all kinds of source: `verify(request, secrets, now)`, `read(request)`, `answer(request, taken)`.

Everything here is pure: no Django, no network, time is passed in. A kind knows one vendor's way of calling us.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, Protocol

from integrations.foundation.languages import gettext_noop as _
from integrations.foundation.strict_json import compact_json
from integrations.security.signing import SecretStyle, check_secret, generate_secret

Headers = tuple[tuple[str, str], ...]
Mode = Literal["event", "record"]
#: Who makes a source's secret: Hookdesk, the vendor, or nobody: the address is all there is.
KeyFrom = Literal["ours", "theirs", "none"]
#: Seconds by which a vendor's time stamp may differ from ours.
TOLERANCE = 300  # also in the help of `TOLERANCE_OPTION`


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request at a source's address.

    `url` is the whole address as the vendor was told it, query included: some sign it. Names of headers are in lower
    case. `body` is decompressed. `options` are the source's. `is_from_proxy`: a trusted proxy sent it, so that what
    such a proxy says of the client counts.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    options: Mapping[str, Any] = field(default_factory=dict)
    is_from_proxy: bool = False

    def header(self, name: str) -> str:
        """Empty where it is missing."""
        return self.headers.get(name.lower(), "").strip()

    @property
    def media_type(self) -> str:
        return self.header("content-type").partition(";")[0].strip().lower()

    @property
    def tolerance(self) -> int:
        """Seconds."""
        return int(self.options.get("tolerance", TOLERANCE))


@dataclass(frozen=True, slots=True)
class Item:
    """One event or object of a request, as the kind understands it; a source's mapping may say otherwise.

    `body` is the part of the request that it is about, for the mapping. `record` is what is merged where the source
    keeps records (None: `data`). `object_type` may be a plural. `dedupe` is the vendor's id of it (None: it has none).
    """

    body: Any
    data: Any
    topic: str | None = None
    intent: str | None = None
    object_type: str | None = None
    object_id: str | None = None
    record: Any = None
    dedupe: str | None = None
    occurred_at: Any = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a request holds. Without items it is ignored, and `why` says so: a ping, a challenge."""

    items: Sequence[Item] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a request: how many items were stored, and the public ids of their events."""

    accepted: int = 0
    events: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: Headers = ()


class Rejected(Exception):
    """The request does not prove where it comes from: 401. The reason is for staff, and never for the sender."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unreadable(Exception):
    """The request is proven, but not what this kind sends: 400 (or `status`). `field` names the place."""

    def __init__(self, message: str, field: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.status = status


@dataclass(frozen=True, slots=True)
class Option:
    """A setting of a source of this kind: a text, one of `choices`, or a whole number where `is_number`."""

    name: str
    label: str
    help: str
    choices: tuple[str, ...] = ()
    is_number: bool = False


TOLERANCE_OPTION = Option(
    "tolerance", _("Tolerance"), _("Seconds that a time stamp may be off; 300 by default."), is_number=True
)


class SourceKind(Protocol):
    """All that Hookdesk knows about one kind. Kinds inherit from this class and say only what is different."""

    name: str
    label: str
    description: str  # one sentence for the admin's card
    #: What is drawn on the card: SVG of 24 × 24, without the `<svg>` around it.
    icon: str = '<path d="M20 7H10M20 12h-7M20 17h-5M7 10v8M11 14l-4 4-4-4"/>'
    #: What to do at the vendor, in one or a few sentences.
    setup: str
    #: Where the topic, and so on, come from unless the source's mapping says otherwise: for the form.
    defaults: Mapping[str, str] = MappingProxyType({})
    key_from: KeyFrom = "ours"
    key_style: SecretStyle = "hub"
    key_label: str = _("Secret")
    options: tuple[Option, ...] = ()
    methods: tuple[str, ...] = ("POST",)
    default_mode: Mode = "event"

    def new_secret(self, options: Mapping[str, Any]) -> str | None:
        """A random one to begin with; None where it is not ours to make."""
        return generate_secret(self.key_style) if self.key_from == "ours" else None

    def check_secret(self, secret: str) -> None:
        """Raise ValueError with a plain sentence where a secret given by somebody cannot be used."""
        check_secret("hub", secret)

    def probe(self, request: Incoming) -> Answer | None:
        """The answer to a request that only asks who is there: it needs no proof and becomes no event."""
        return None

    def verify(self, request: Incoming, secrets: Sequence[str], now: datetime) -> None:
        """Raise `Rejected` unless one of the secrets proves where it comes from. `secrets`: newest first."""
        ...

    def read(self, request: Incoming) -> Reading:
        """Raise `Unreadable` for what this vendor does not send."""
        ...

    def answer(self, request: Incoming, taken: Taken) -> Answer:
        """What the vendor expects to hear once it is stored, was already, or is ignored."""
        return json_answer(202, {"accepted": taken.accepted, "events": list(taken.events)})

    def sample(self, secret: str, url: str, options: Mapping[str, Any], now: datetime, key: str) -> Incoming:
        """A request as the vendor would make it, proven with `secret`. `key` makes it one that was never sent."""
        ...


def json_answer(status: int, value: Any, headers: Headers = ()) -> Answer:
    return Answer(status, compact_json(value).encode(), (("Content-Type", "application/json"), *headers))
