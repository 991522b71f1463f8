"""Turn.io deliveries, handshakes, contexts and actions (docs/contract.md#turn).

Handshake, context and action responses are read leniently: keys may be missing, and invalid parts are reported in
`error`, never as an exception.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

from integrations.foundation.languages import gettext_noop as _
from integrations.foundation.strict_json import compact_json
from integrations.security.signing import turn_signature
from integrations.transport.base import Headers, Request, Response
from integrations.wire_formats.auth import prepare
from integrations.wire_formats.base import Endpoint, Message, Outcome, PayloadError, WireFormat
from integrations.wire_formats.post import JSON_HEADERS, iso, json_kind, post, utf_8
from integrations.wire_formats.responses import is_storable, one_line, parsed, read_status, summary_of
from integrations.wire_formats.standard import REFUSING_STATUSES

CONTEXT_TYPES = ("table", "ordered-list")


class TurnFormat(WireFormat):
    name = "turn"
    label = "Turn.io"
    description = _("Signed JSON to one address that also offers context, suggested replies and actions for a chat.")
    icon = '<path d="M4 5h16v11H10l-5 4v-4H4z"/>'
    form_fields = ("url", "auth_type", "token")
    own_headers = ("x-turn-hook-signature",)
    has_handshake = True
    default_permanent_statuses = REFUSING_STATUSES
    signature_style = "turn"

    def build(self, message: Message) -> Request:
        body = utf_8(message.payload_json)
        return post(message, body, JSON_HEADERS + _signatures(message.endpoint.secrets, body))

    def read(self, message: Message, response: Response) -> Outcome:
        return read_status(message, response)


@dataclass(frozen=True, slots=True)
class Handshake:
    is_ok: bool
    error: str | None = None  # also set if only some parts were invalid and left out
    version: str | None = None
    capabilities: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self, at: datetime) -> dict[str, Any]:
        """Return the value of the integration's `handshake` (docs/contract.md#turn)."""
        return {
            "ok": self.is_ok,
            "at": iso(at),
            "error": self.error,
            "version": self.version,
            "capabilities": dict(self.capabilities),
        }


@dataclass(frozen=True, slots=True)
class Context:
    """`context_objects` by code (an object for a table, a list for an ordered list), `actions` by code."""

    is_ok: bool
    error: str | None = None
    context_objects: Mapping[str, Any] = field(default_factory=dict)
    suggested_responses: tuple[Mapping[str, Any], ...] = ()
    actions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ActionAnswer:
    is_ok: bool
    error: str | None = None
    is_refresh_wanted: bool = False
    body: Any = None


def build_handshake(endpoint: Endpoint) -> Request:
    return _signed_post(endpoint, endpoint.url, {"handshake": True, "name": endpoint.name})


def read_handshake(response: Response) -> Handshake:
    answer, error = _object_of(response)
    if error:
        return Handshake(False, error)
    odd: list[str] = []
    version = answer.get("version")
    if version is not None and not isinstance(version, str):
        odd.append(f"version is {json_kind(version)}")
        version = None
    capabilities = _cleaned(_object_in(answer, "capabilities", odd), odd)
    return Handshake(True, _complaint(odd), version, capabilities)


def build_context(endpoint: Endpoint, chat: Mapping[str, Any], messages: list[Any]) -> Request:
    return _signed_post(endpoint, endpoint.url, {"chat": chat, "messages": messages})


def read_context(response: Response) -> Context:
    answer, error = _object_of(response)
    if error:
        return Context(False, error)
    odd: list[str] = []
    contexts = {}
    for code, value in _object_in(answer, "context_objects", odd).items():
        if isinstance(value, dict | list):
            contexts[code] = value
        else:
            odd.append(f"context_objects.{code} is {json_kind(value)}")
    replies = []
    for position, value in enumerate(_list_in(answer, "suggested_responses", odd)):
        if isinstance(value, dict):
            replies.append(value)
        else:
            odd.append(f"suggested_responses[{position}] is {json_kind(value)}")
    actions = {}
    for code, value in _object_in(answer, "actions", odd).items():
        if isinstance(value, dict) and isinstance(value.get("url"), str):
            actions[code] = value
        else:
            odd.append(f"actions.{code} has no url")
    return Context(True, _complaint(odd), contexts, tuple(replies), actions)


def build_action(
    endpoint: Endpoint,
    *,
    code: str,
    action: Mapping[str, Any],
    address: Any = None,
    message: Any = None,
    option: Any = None,
    payload: Any = None,
) -> Request:
    """Build the request for `action`, which the last context response offered under `code`.

    Without a `payload`, the action's own is sent. Raises PayloadError if its `url` is not a web address.
    """
    url = action_url(endpoint, str(action.get("url", "")))
    body = {
        "address": address,
        "integration_uuid": endpoint.uuid,
        "integration_action_uuid": action_uuid(endpoint, code),
        "message": message,
        "option": option,
        "payload": action.get("payload") if payload is None else payload,
    }
    return _signed_post(endpoint, url, body)


def read_action(response: Response) -> ActionAnswer:
    is_refresh_wanted = (response.header("X-Turn-Integration-Refresh") or "").strip().lower() in ("true", "1")
    error = None if 200 <= response.status < 300 else _answered(response)
    return ActionAnswer(error is None, error, is_refresh_wanted, _storable(parsed(response)))


def action_url(endpoint: Endpoint, url: str) -> str:
    """Return the action's URL, resolved against the integration's (RFC 3986)."""
    try:
        resolved = urljoin(endpoint.url, url.strip())
        parts = urlsplit(resolved)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_web = False
    if not is_web:
        raise PayloadError("action_url", f"The action's address {one_line(url)!r} is not a web address.")
    return resolved


def action_uuid(endpoint: Endpoint, code: str) -> str:
    """Return a UUID that is always the same for an integration and a code."""
    try:
        namespace = uuid.UUID(endpoint.uuid)
    except ValueError:
        namespace = uuid.uuid5(uuid.NAMESPACE_URL, endpoint.url)
    return str(uuid.uuid5(namespace, code.encode("utf-8", "replace").decode()))


def _signed_post(endpoint: Endpoint, url: str, content: Mapping[str, Any]) -> Request:
    """Build a POST. Token, signature and extra headers are sent to the integration's own origin only.

    An action may name any other origin, whose owner could pass on a signed request as ours.
    """
    body = utf_8(compact_json(content))
    prepared = prepare(endpoint)
    headers: Headers = JSON_HEADERS
    if _origin(url) == _origin(endpoint.url):
        headers += _signatures(endpoint.secrets, body) + prepared.headers
    return Request("POST", url, headers, body, endpoint.timeout, prepared.secrets)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    return parts.scheme, parts.hostname, port or {"http": 80, "https": 443}.get(parts.scheme)


def _signatures(secrets: tuple[str, ...], body: bytes) -> Headers:
    """Return the newest secret's signature header; during a rotation also the old secret's in `…-Previous`."""
    names = ("X-Turn-Hook-Signature", "X-Turn-Hook-Signature-Previous")
    return tuple((name, turn_signature(secret, body)) for name, secret in zip(names, secrets, strict=False))


def _object_of(response: Response) -> tuple[dict[str, Any], str | None]:
    if not 200 <= response.status < 300:
        return {}, _answered(response)
    if response.is_truncated:
        return {}, f"The integration answered {response.status} with a body that is too large."
    answer = parsed(response)
    if not isinstance(answer, dict):
        return {}, f"The integration answered {response.status} without a JSON object."
    if not is_storable(answer):
        return {}, f"The integration answered {response.status} with characters that cannot be stored."
    return answer, None


def _answered(response: Response) -> str:
    summary = summary_of(response)
    return f"The integration answered {response.status}" + (f": {summary}" if summary else " with no error message.")


def _object_in(answer: Mapping[str, Any], name: str, odd: list[str]) -> dict[str, Any]:
    """Return a copy of the member; empty if it is missing or not an object (then added to `odd`)."""
    value = answer.get(name)
    if isinstance(value, dict):
        return dict(value)
    if value is not None:
        odd.append(f"{name} is {json_kind(value)}")
    return {}


def _list_in(answer: Mapping[str, Any], name: str, odd: list[str]) -> list[Any]:
    value = answer.get(name)
    if isinstance(value, list):
        return value
    if value is not None:
        odd.append(f"{name} is {json_kind(value)}")
    return []


def _cleaned(capabilities: dict[str, Any], odd: list[str]) -> dict[str, Any]:
    """Return the capabilities without members of the wrong type."""
    kinds = {"actions": bool, "suggested_responses": bool, "context_objects": list}
    for name, kind in kinds.items():
        if name in capabilities and not isinstance(capabilities[name], kind):
            odd.append(f"capabilities.{name} is {json_kind(capabilities.pop(name))}")
    known = []
    for position, item in enumerate(capabilities.get("context_objects", ())):
        if isinstance(item, dict) and isinstance(item.get("code"), str) and item.get("type") in CONTEXT_TYPES:
            known.append(item)
        else:
            odd.append(f"context_objects[{position}] has no code, or a type that is neither table nor ordered-list")
    if "context_objects" in capabilities:
        capabilities["context_objects"] = known
    return capabilities


def _complaint(odd: list[str]) -> str | None:
    if not odd:
        return None
    more = f" and {len(odd) - 5} more" if len(odd) > 5 else ""
    return one_line("Left out: " + "; ".join(odd[:5]) + more)


def _storable(value: Any) -> Any:
    return value if is_storable(value) else None
