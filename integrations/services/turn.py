"""Talking to Turn.io integrations while somebody waits: handshake, context, actions (docs/contract.md#turn).

No transaction is held during a request. What goes wrong is part of the answer, never an exception, but for what
the caller got wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from integrations.endpoint import endpoint_of
from integrations.models import Integration, TurnContext
from integrations.transport import Request, Response, TransportError, current_policy, send
from integrations.wire_formats.base import PayloadError
from integrations.wire_formats.turn import (
    ActionAnswer,
    Context,
    Handshake,
    build_action,
    build_context,
    build_handshake,
    read_action,
    read_context,
    read_handshake,
)

#: A user is waiting: the most seconds, however long the integration's own timeout.
LONGEST_WAIT = 10.0


class NotTurn(ValueError):
    """The integration does not speak Turn.io's format."""


class ActionNotOffered(LookupError):
    """The last context answer had no action with this code."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What an action's address answered: `status` is None where no answer came."""

    status: int | None
    answer: ActionAnswer


def handshake(*, integration: Integration, now: datetime) -> dict[str, Any]:
    """Ask what the integration can do; the result is kept as its `handshake`. Raises NotTurn."""
    _check(integration)
    response, error = _send(build_handshake, integration, now)
    outcome = Handshake(False, error) if response is None else read_handshake(response)
    result = outcome.as_json(now)
    Integration.objects.filter(id=integration.id).update(handshake=result)
    integration.handshake = result
    return result


def request_context(*, integration: Integration, chat: dict[str, Any], messages: list[Any], now: datetime) -> Context:
    """Context objects, suggested responses and actions for a chat. The actions are kept for `run_action`.

    Raises NotTurn.
    """
    _check(integration)
    response, error = _send(lambda endpoint: build_context(endpoint, chat, messages), integration, now)
    context = Context(False, error) if response is None else read_context(response)
    if context.is_ok:
        actions = {code: dict(action) for code, action in context.actions.items()}
        TurnContext.objects.update_or_create(integration=integration, defaults={"actions": actions, "answered_at": now})
    return context


def run_action(
    *,
    integration: Integration,
    code: str,
    now: datetime,
    address: Any = None,
    message: Any = None,
    option: Any = None,
    payload: Any = None,
) -> Answered:
    """Post an action to its address, which is under the same address guard as everything else.

    Raises NotTurn, and ActionNotOffered for a code that the last context answer did not have.
    """
    _check(integration)
    context = TurnContext.objects.filter(integration=integration).first()
    action = context.actions.get(code) if context else None
    if action is None:
        raise ActionNotOffered(code)
    response, error = _send(
        lambda endpoint: build_action(
            endpoint, code=code, action=action, address=address, message=message, option=option, payload=payload
        ),
        integration,
        now,
    )
    if response is None:
        return Answered(None, ActionAnswer(False, error))
    return Answered(response.status, read_action(response))


def _check(integration: Integration) -> None:
    if not integration.adapter.has_handshake:
        raise NotTurn(_("Only integrations in turn format have a handshake, a context and actions."))


def _send(build: Any, integration: Integration, now: datetime) -> tuple[Response | None, str | None]:
    """The answer, or a sentence about why there is none."""
    try:
        request: Request = build(endpoint_of(integration, now))
        request = replace(request, timeout=min(request.timeout, LONGEST_WAIT))
        return send(request, current_policy()), None
    except PayloadError as error:
        return None, error.message
    except TransportError as error:
        return None, error.message
