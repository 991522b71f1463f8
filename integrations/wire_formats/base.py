"""The one interface of all wire formats and connectors: `build(message) -> Request`, `read(...) -> Outcome`.

Everything here is pure: no Django, no network, time is passed in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, Protocol

from integrations.security.signing import SecretStyle
from integrations.transport.base import Headers, Request, Response

#: Sent with every request; the version is that of the package.
VERSION = "0.1.0"
USER_AGENT = f"Hookdesk/{VERSION}"
#: Sent where it is not 0. Who passes on what it was sent copies it, so that a loop can be told.
HOPS_HEADER = "X-Hookdesk-Hops"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An integration as a wire format needs it, with its credentials in the clear."""

    id: int
    uuid: str
    name: str
    store_id: str
    url: str
    connector: str | None = None
    wire_format: str = "standard"
    auth_type: str = "none"  # none, bearer, token, basic, header, hub
    auth_header: str = ""
    token: str = ""
    secrets: tuple[str, ...] = ()  # newest first; all of them sign during a rotation
    parameters: Mapping[str, Any] = field(default_factory=dict)
    headers: Headers = ()
    additional_data: str = ""
    timeout: float = 30.0
    permanent_statuses: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class PollWindow:
    """A poll asks for what changed `since` the last success (None: never polled)."""

    since: datetime | None


@dataclass(eq=False)  # not frozen: that would make a message three times as dear, and one is made per attempt
class Message:
    """One delivery about to be sent.

    `data_json` is the JSON text of the event's data (after an edit: of the revision). When the
    subscription has a transform, `transformed_json` is the text of its result, which replaces the data
    (in `hub` format, the `{"<singular>": …}` part of the body).
    """

    endpoint: Endpoint
    request_id: str  # 32 hex digits, stable over retries; also the basis of webhook-id and notif_…
    topic: str | None
    intent: str | None
    object_type: str  # singular, `shipment`; the topic's first word or the intent for general events
    data_json: str
    occurred_at: datetime
    attempt_number: int  # 1 for the first
    first_sent_at: datetime
    now: datetime
    transformed_json: str | None = None
    path: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)  # integration's deep-merged with subscription's
    hops: int = 0  # how often what it tells has been to a receiver and back
    is_ping: bool = False
    poll: PollWindow | None = None

    @cached_property
    def data(self) -> Any:
        return json.loads(self.data_json)

    @cached_property
    def payload(self) -> Any:
        """What the receiver should get: the transform's result where there is one, else the data."""
        return json.loads(self.payload_json)

    @property
    def payload_json(self) -> str:
        return self.data_json if self.transformed_json is None else self.transformed_json


Effect = Literal["disable_integration", "deactivate_subscription"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an answer means.

    `kind` names the sort of failure for grouping (`http_500`, `request_id_mismatch`, `refused`, …) and is
    empty on success. `message` is the plain sentence staff read; `summary` is the receiver's own words.
    `retry_after` is in seconds. `parameters` are saved into the integration's. `pushed` holds
    `{"<plural>": [object, …]}` to be pushed into the store's records. `again` asks for another attempt at
    once, after `parameters` were saved (a connector that had to look something up first): ask for it before
    `is_success`, which says only that this attempt went well; the delivery is not done.
    """

    is_success: bool
    kind: str = ""
    message: str = ""
    summary: str | None = None
    is_permanent: bool = False
    retry_after: float | None = None
    parameters: Mapping[str, Any] | None = None
    pushed: Mapping[str, list[dict[str, Any]]] | None = None
    effect: Effect | None = None
    again: bool = False


class PayloadError(Exception):
    """The message cannot be put into this format: a permanent, visible failure of the delivery."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


class Skip(Exception):
    """There is nothing to send, and that is right: the delivery succeeds without a request; `summary` says why."""

    def __init__(self, summary: str) -> None:
        super().__init__(summary)
        self.summary = summary


#: Fields of the integration form for a format that posts to a URL and authenticates like any other.
URL_AND_AUTH = ("url", "auth_type", "auth_header", "token")


class WireFormat(Protocol):
    """All that Hookdesk knows about one format: `build` and `read`, how it is shown, what its integrations start with.

    Formats inherit from this class and say only what is different.
    """

    name: str
    label: str
    description: str  # one sentence for the admin's card
    #: What is drawn on the card: SVG of 24 × 24, without the `<svg>` around it.
    icon: str = '<path d="M4 7h10M4 12h7M4 17h5M17 10v8M13 14h8"/>'
    #: What the form asks for besides the name; all other settings are under "Retries, limits and headers".
    form_fields: tuple[str, ...] = URL_AND_AUTH
    #: An object that it can send, for the contract tests.
    sample: Mapping[str, Any] = MappingProxyType({"id": "1", "message": "Your order was shipped!"})
    default_retry_policy: str = "standard"
    default_timeout: float = 30.0  # seconds
    default_permanent_statuses: frozenset[int] = frozenset()
    signature_style: SecretStyle | None = None  # how it signs (`signing.generate_secret`); None: it does not
    #: How the names of the headers begin that `build` sets (lower case): no integration may give them as extra headers.
    own_headers: tuple[str, ...] = ()
    is_pollable: bool = False  # subscriptions may ask it for objects at an interval
    has_handshake: bool = False  # a new integration is asked for its capabilities
    pings_new_subscriptions: bool = False

    def build(self, message: Message) -> Request:
        """Raise `PayloadError` where the message cannot be expressed, `Skip` where nothing is to be sent."""
        ...

    def read(self, message: Message, response: Response) -> Outcome: ...
