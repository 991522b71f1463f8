"""Requests and responses of the Wombat/CenitHub protocol, including polling (docs/contract.md#hub)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from integrations.foundation.languages import gettext_noop as _
from integrations.foundation.strict_json import compact_json
from integrations.transport.base import Request, Response
from integrations.wire_formats.base import URL_AND_AUTH, Message, Outcome, PayloadError, PollWindow, WireFormat
from integrations.wire_formats.post import JSON_HEADERS, iso, payload_object, post, utf_8
from integrations.wire_formats.responses import failure, is_storable, one_line, parsed_object

SUCCESS_STATUSES = frozenset({200, 201, 202, 204})
LONGEST_TIMEOUT = 180.0
#: Members of the body that the format sets; objects and transforms must not contain them.
RESERVED_MEMBERS = ("request_id", "parameters")
#: The `since` of a first poll: everything.
EPOCH = datetime.fromtimestamp(0, UTC)


class HubFormat(WireFormat):
    name = "hub"
    label = _("Hub")
    description = _("A request id, parameters and one object; the answer may set parameters and push objects back.")
    icon = '<circle cx="12" cy="12" r="3"/><path d="M12 3v6M12 15v6M3 12h6M15 12h6"/>'
    form_fields = (*URL_AND_AUTH, "parameters")
    is_pollable = True
    default_retry_policy = "hub"

    def build(self, message: Message) -> Request:
        text = _poll_body(message, message.poll) if message.poll is not None else _object_body(message)
        return post(message, utf_8(text), JSON_HEADERS, timeout=min(message.endpoint.timeout, LONGEST_TIMEOUT))

    def read(self, message: Message, response: Response) -> Outcome:
        answer = parsed_object(response)
        if response.status not in SUCCESS_STATUSES:
            return failure(message, response, summary=_summary(answer))
        if not response.body.strip():
            return Outcome(True)
        if response.is_truncated:
            return Outcome(
                False,
                kind="answer_too_large",
                message=f"The receiver's response exceeds the {len(response.body) // 1024} KB that are read, "
                "so it cannot be parsed. Have it return less at a time.",
            )
        if answer is None or answer.get("request_id") != message.request_id:
            return _mismatch(message, answer)
        return _success(answer)


def _object_body(message: Message) -> str:
    start = f'{{"request_id":{compact_json(message.request_id)},"parameters":{compact_json(message.parameters)}'
    if message.transformed_json is None:
        name = "ping" if message.is_ping else message.object_type
        _refuse_reserved(name, "payload", "Such a type cannot be sent in the hub format.")
        return f"{start},{compact_json(name)}:{message.data_json}}}"
    result = payload_object(message)
    for name in RESERVED_MEMBERS:
        if name in result:
            _refuse_reserved(name, "transform", "Leave it out of the subscription's transform.")
    return f"{start},{compact_json(result)[1:]}" if result else start + "}"


def _refuse_reserved(name: str, kind: str, advice: str) -> None:
    if name in RESERVED_MEMBERS:
        raise PayloadError(kind, f'The member "{name}" of the body is set by the hub format itself. {advice}')


def _poll_body(message: Message, window: PollWindow) -> str:
    """Build the body of a poll. A subscription that was never polled sends `last_poll` 0 (the epoch)."""
    since = window.since or EPOCH
    parameters = {**message.parameters, "since": iso(since)}
    return (
        f'{{"request_id":{compact_json(message.request_id)},"parameters":{compact_json(parameters)},'
        f'"last_poll":{int(since.timestamp())}}}'
    )


def _summary(answer: dict[str, Any] | None) -> str | None:
    summary = answer.get("summary") if answer else None
    return one_line(summary) if isinstance(summary, str) else None


def _mismatch(message: Message, answer: dict[str, Any] | None) -> Outcome:
    if answer is None:
        found = "a body that is not a JSON object"
    elif "request_id" not in answer:
        found = "a body without request_id"
    else:
        found = f'"{one_line(str(answer["request_id"])) or ""}"'
    return Outcome(
        False,
        kind="request_id_mismatch",
        message=f'request_id mismatch: "{message.request_id}" was sent and the receiver answered {found}. '
        "It must answer the request_id that it was given, or with an empty body.",
        summary=_summary(answer),
    )


def _success(answer: dict[str, Any]) -> Outcome:
    """Read a valid response: a success, even if parts cannot be stored. The summary names those left out."""
    left_out: list[str] = []
    parameters = answer.get("parameters")
    if not isinstance(parameters, dict) or not parameters:
        parameters = None
    elif not is_storable(parameters):
        parameters = None
        left_out.append("parameters")
    pushed: dict[str, list[dict[str, Any]]] = {}
    for name, value in answer.items():
        if name in RESERVED_MEMBERS or not isinstance(value, list):
            continue
        if all(isinstance(item, dict) for item in value) and is_storable({name: value}):
            pushed[name] = value
        else:
            left_out.append(one_line(name) or "''")
    summary = _summary(answer)
    if left_out:
        note = f"(not usable and left out of the answer: {', '.join(left_out[:5])})"
        summary = one_line(f"{summary} {note}" if summary else note)
    return Outcome(True, summary=summary, parameters=parameters, pushed=pushed or None)
