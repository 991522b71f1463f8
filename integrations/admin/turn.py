"""Trying out an integration in turn format as Turn.io's own page would: handshake, context, actions."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from integrations.admin.fields import parse_json_text
from integrations.models import Integration
from integrations.services.turn import ActionNotOffered, NotTurn, handshake, request_context, run_action

EXAMPLE = {
    "chat": {"owner": "+27820000000", "state": "OPEN", "uuid": "chat-1"},
    "messages": [{"id": "m1", "from": "+27820000000", "text": {"body": "Hello"}, "type": "text"}],
}


def ask_again(request: HttpRequest, integration: Integration) -> None:
    try:
        with translation.override("en"):  # the result is stored, for all readers
            result = handshake(integration=integration, now=timezone.now())
    except NotTurn as error:
        messages.error(request, str(error))
        return
    if result["ok"]:
        messages.success(request, _("The handshake succeeded."))
    else:
        messages.error(request, _("The handshake failed. %(error)s") % {"error": result["error"]})


def turn_context(request: HttpRequest, integration: Integration) -> dict[str, Any]:
    """What the page shows: nothing, a context, or the response to an action."""
    text = request.POST.get("document") or json.dumps(EXAMPLE, indent=2)
    shown: dict[str, Any] = {"integration": integration, "document": text}
    if request.method != "POST":
        return shown
    try:
        document = parse_json_text(text)
    except ValidationError as error:
        return {**shown, "error": " ".join(error.messages)}
    chat = document.get("chat") if isinstance(document, dict) else None
    if not isinstance(chat, dict) or not isinstance(document.get("messages", []), list):
        return {**shown, "error": _("Write an object with a chat (an object) and messages (an array).")}
    now = timezone.now()
    try:
        if code := request.POST.get("action", ""):
            option = request.POST.get("option") or None
            shown["answered"] = run_action(
                integration=integration, code=code, now=now, address=chat.get("owner"), option=option
            )
            shown["action"] = code
            if not shown["answered"].answer.is_refresh_wanted:
                return shown
        context = request_context(integration=integration, chat=chat, messages=document.get("messages", []), now=now)
    except NotTurn as error:
        return {**shown, "error": str(error)}
    except ActionNotOffered:
        return {**shown, "error": _("The last context did not offer this action. Request the context again.")}
    return {**shown, "context": context, "objects": _drawn_objects(integration, context.context_objects)}


def _drawn_objects(integration: Integration, objects: Any) -> list[dict[str, Any]]:
    """Each context object with its title and type from the handshake."""
    capabilities = (integration.handshake or {}).get("capabilities") or {}
    announced = {each["code"]: each for each in capabilities.get("context_objects") or [] if each.get("code")}
    drawn = []
    for code, value in objects.items():
        about = announced.get(code, {})
        rows = list(value.items()) if isinstance(value, dict) else None
        items = [_item(item) for item in value] if isinstance(value, list) else None
        drawn.append({"title": about.get("title") or code, "code": code, "rows": rows, "items": items})
    return drawn


def _item(item: Any) -> str:
    return item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)
