"""The interface of all wire formats and connectors: `build(message) -> Request`, `read(message, response) -> Outcome`.

Pure: no database, no network; times are arguments.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, Protocol

from integrations.foundation.version import VERSION
from integrations.security.signing import SecretStyle
from integrations.transport.base import Headers, Request, Response

#: Sent with every request; the version is that of the package.

USER_AGENT = f"Hookdesk/{VERSION}"
#: Sent unless it is 0. A receiver that pushes back copies it into its push, so that loops are detected.
HOPS_HEADER = "X-Hookdesk-Hops"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The settings of an integration that a wire format needs, with decrypted credentials."""

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
    secrets: tuple[str, ...] = ()  # newest first; during a rotation all of them sign
    parameters: Mapping[str, Any] = field(default_factory=dict)
    headers: Headers = ()
    additional_data: str = ""
    timeout: float = 30.0
    permanent_statuses: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class PollWindow:
    """A poll asks for objects changed `since` the last successful poll (None: never polled)."""

    since: datetime | None


@dataclass(eq=False)  # not frozen: that would make construction three times as slow, and each attempt creates a message
class Message:
    """One delivery to be sent.

    `data_json` is the JSON text of the event's data, or of the latest revision if staff edited it. If the subscription
    has a transform, `transformed_json` is the JSON text of its result and replaces the data (in `hub` format: the
    `{"<singular>": …}` member of the body).
    """

    endpoint: Endpoint
    request_id: str  # 32 hex digits, the same for all retries; webhook-id and notif_… are derived from it
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
    hops: int = 0  # how many times this change has already gone through a receiver and been pushed back
    is_ping: bool = False
    poll: PollWindow | None = None
    traceparent: str | None = None  # goes out as the header of that name; formats need not care

    @cached_property
    def data(self) -> Any:
        return json.loads(self.data_json)

    @cached_property
    def payload(self) -> Any:
        """The value to send: the transform's result if there is one, else the data."""
        return json.loads(self.payload_json)

    @property
    def payload_json(self) -> str:
        return self.data_json if self.transformed_json is None else self.transformed_json


Effect = Literal["disable_integration", "deactivate_subscription"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The interpretation of a response.

    `kind` identifies the failure for grouping (`http_500`, `request_id_mismatch`, `refused`, …); empty on success.
    `message` is the sentence shown to staff; `summary` is the receiver's own text. `retry_after` is in seconds.
    `parameters` are merged into the integration's. `pushed` (`{"<plural>": [object, …]}`) is pushed into the store's
    records. `again` requests another attempt immediately, after `parameters` have been saved (for a connector that had
    to look something up first). Check `again` before `is_success`: the attempt succeeded, but the delivery continues.
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
    """The message cannot be expressed in this format. The delivery fails permanently with this message."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


class Skip(Exception):
    """There is nothing to send: the delivery succeeds without a request. `summary` says why."""

    def __init__(self, summary: str) -> None:
        super().__init__(summary)
        self.summary = summary


#: Form fields of a format that posts to a URL with one of the auth types.
URL_AND_AUTH = ("url", "auth_type", "auth_header", "token")


class WireFormat(Protocol):
    """Everything about one format: `build` and `read`, its appearance, and the defaults of its integrations.

    Subclasses override only what differs.
    """

    name: str
    label: str
    description: str  # one sentence for the admin's card
    #: The icon on the card: SVG content for a 24 × 24 viewBox, without the `<svg>` element.
    icon: str = '<path d="M4 7h10M4 12h7M4 17h5M17 10v8M13 14h8"/>'
    #: Form fields besides the name; all other settings are under "Retries, limits and headers".
    form_fields: tuple[str, ...] = URL_AND_AUTH
    #: A valid payload, for the contract tests.
    sample: Mapping[str, Any] = MappingProxyType({"id": "1", "message": "Your order was shipped!"})
    default_retry_policy: str = "standard"
    default_timeout: float = 30.0  # seconds
    default_permanent_statuses: frozenset[int] = frozenset()
    signature_style: SecretStyle | None = None  # signature style (see `signing.generate_secret`); None: unsigned
    #: Prefixes (lower case) of the headers that `build` sets. Integrations may not use them for extra headers.
    own_headers: tuple[str, ...] = ()
    is_pollable: bool = False  # subscriptions may poll it at an interval
    has_handshake: bool = False  # a handshake runs when an integration is created
    pings_new_subscriptions: bool = False

    def build(self, message: Message) -> Request:
        """Return the request for `message`.

        Raises `PayloadError` if the message cannot be expressed, `Skip` if there is nothing to send.
        """
        ...

    def read(self, message: Message, response: Response) -> Outcome: ...
