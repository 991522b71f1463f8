"""Spans, where this installation makes any: `config.observability.telemetry` says by `use` what makes them.

Without it, a trace that a sender has begun passes through unchanged, and none is begun.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from integrations.foundation.trace_context import read_traceparent

SpanName = Literal["push", "source", "deliver"]
Attribute = str | int | float


class Span(Protocol):
    """`traceparent`: what those that it causes are given as their parent; None: nobody is tracing this."""

    @property
    def traceparent(self) -> str | None: ...

    def end(self, status: int | None, error: str = "", **attributes: Attribute) -> None:
        """`status`: the HTTP status of the answer; None: there was none. `error`: the kind of a failure. Once."""


class Tracer(Protocol):
    def begin(self, name: SpanName, parent: str | None) -> Span:
        """`parent`: a valid `traceparent`."""


@dataclass(frozen=True, slots=True)
class Untraced:
    """The sender's trace, if there is one, without a span of ours."""

    traceparent: str | None

    def end(self, status: int | None, error: str = "", **attributes: Attribute) -> None:
        """Nobody wants to know."""


_tracer: Tracer | None = None


def use(tracer: Tracer | None) -> None:
    global _tracer
    _tracer = tracer


def is_on() -> bool:
    return _tracer is not None


def begin(name: SpanName, parent: str | None) -> Span:
    """`parent`: a header `traceparent` as it came, or None. A span that is never ended is never reported."""
    known = read_traceparent(parent)
    return Untraced(known) if _tracer is None else _tracer.begin(name, known)
