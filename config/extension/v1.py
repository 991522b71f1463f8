"""Version 1 of the interface for packages that extend Hookdesk (docs/extending.md).

What stands here keeps its name and meaning as long as Hookdesk speaks version 1; all else may change at any time.
"""

from __future__ import annotations

from jmespath.functions import signature

from integrations.connectors.base import (
    Connector,
    Parameter,
    base_url,
    optional_parameter,
    refusal,
    required_parameter,
    vendor_request,
)
from integrations.security.signing import generate_secret, standard_signature
from integrations.sources.base import (
    TOLERANCE_OPTION,
    Answer,
    Incoming,
    Item,
    Option,
    Reading,
    Rejected,
    SourceKind,
    Taken,
    Unreadable,
    json_answer,
)
from integrations.sources.bodies import form_fields, json_object, object_at, text_at, topic_of
from integrations.sources.proofs import (
    base64_hmac,
    basic_credentials,
    bearer_token,
    check_signature,
    check_time,
    check_token,
    hex_hmac,
)
from integrations.transport.base import Headers, Request, Response
from integrations.wire_formats.base import (
    USER_AGENT,
    Endpoint,
    Message,
    Outcome,
    PayloadError,
    Skip,
    WireFormat,
)
from integrations.wire_formats.post import JSON_HEADERS, event_name, payload_object, post, utf_8
from integrations.wire_formats.responses import read_status, retry_after, summary_of
from notifications.channels.base import ChannelError, Field, OutgoingMessage, Provider
from notifications.channels.base import json_object as json_answer_of
from notifications.texts import Incident, lines, title
from subscriptions.expressions.values import ExpressionError

__all__ = [
    "JSON_HEADERS",
    "TOLERANCE_OPTION",
    "USER_AGENT",
    "Answer",
    "ChannelError",
    "Connector",
    "Endpoint",
    "ExpressionError",
    "Field",
    "Headers",
    "Incident",
    "Incoming",
    "Item",
    "Message",
    "Option",
    "Outcome",
    "OutgoingMessage",
    "Parameter",
    "PayloadError",
    "Provider",
    "Reading",
    "Rejected",
    "Request",
    "Response",
    "Skip",
    "SourceKind",
    "Taken",
    "Unreadable",
    "WireFormat",
    "base64_hmac",
    "base_url",
    "basic_credentials",
    "bearer_token",
    "check_signature",
    "check_time",
    "check_token",
    "event_name",
    "form_fields",
    "generate_secret",
    "hex_hmac",
    "json_answer",
    "json_answer_of",
    "json_object",
    "lines",
    "object_at",
    "optional_parameter",
    "payload_object",
    "post",
    "read_status",
    "refusal",
    "required_parameter",
    "retry_after",
    "signature",
    "standard_signature",
    "summary_of",
    "text_at",
    "title",
    "topic_of",
    "utf_8",
    "vendor_request",
]
