"""Subscribes buyers who accept marketing to a Mailchimp audience (API 3.0; docs/contract.md#connectors)."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import quote

from integrations.connectors.base import (
    BUYER_SAMPLE,
    Connector,
    Parameter,
    base_url,
    buyer_email,
    buyer_names,
    optional_parameter,
    refusal,
    required_parameter,
    vendor_request,
)
from integrations.foundation.languages import gettext_noop as _
from integrations.foundation.strict_json import compact_json
from integrations.transport.base import Request, Response
from integrations.wire_formats.auth import basic
from integrations.wire_formats.base import Message, Outcome, PayloadError
from integrations.wire_formats.post import utf_8
from integrations.wire_formats.responses import parsed_object

#: `{dc}` is the data centre: the part of the key after its last hyphen.
VENDOR_URL = "https://{dc}.api.mailchimp.com"
_DATA_CENTRE = re.compile(r"[a-z]{1,8}[0-9]{1,4}")


class Mailchimp(Connector):
    name = "mailchimp"
    label = "Mailchimp"
    description = _("Adds buyers who accept marketing to a Mailchimp audience.")
    sample = BUYER_SAMPLE
    parameters: tuple[Parameter, ...] = (
        Parameter(
            "api_key",
            _("API key"),
            _("Under Account → Extras → API keys; ends in the data centre, like -us1."),
            example="0123456789-us1",
            is_secret=True,
        ),
        Parameter(
            "list_id", _("Audience ID"), _("The account's first audience if left empty."), False, example="a1b2c3d4e5"
        ),
    )

    def __init__(self, vendor_url: str | None = None) -> None:
        self._vendor_url = vendor_url

    def build(self, message: Message) -> Request:
        api_key = required_parameter(message, "api_key")
        authorization = basic(f"user:{api_key}")
        email = "" if message.is_ping else buyer_email(message)
        root = f"{self._root(api_key)}/3.0"
        if message.is_ping:
            return vendor_request(message, "GET", f"{root}/ping", authorization=authorization)
        list_id = optional_parameter(message, "list_id")
        if not list_id:
            return vendor_request(message, "GET", f"{root}/lists?count=1", authorization=authorization)
        url = f"{root}/lists/{quote(list_id, safe='')}/members/{member_hash(email)}"
        return vendor_request(message, "PUT", url, authorization=authorization, body=_member(message, email))

    def read(self, message: Message, response: Response) -> Outcome:
        if not 200 <= response.status < 300:
            answer = parsed_object(response) or {}
            detail = answer.get("detail")
            words = detail if isinstance(detail, str) and detail.strip() else None
            return refusal(message, response, vendor="Mailchimp", words=words and words.strip()[:200])
        if message.is_ping:
            return Outcome(True, summary="Mailchimp accepts the API key.")
        if optional_parameter(message, "list_id"):
            return Outcome(True, summary="Subscribed at Mailchimp.")
        return _first_list(response)

    def _root(self, api_key: str) -> str:
        root = self._vendor_url or base_url("MAILCHIMP_BASE_URL", VENDOR_URL)
        if "{dc}" not in root:
            return root.rstrip("/")
        data_centre = api_key.rpartition("-")[2] if "-" in api_key else ""
        if not _DATA_CENTRE.fullmatch(data_centre):
            raise PayloadError(
                "configuration", "The parameter 'api_key' does not end in a data centre such as -us1: copy it whole."
            )
        return root.replace("{dc}", data_centre).rstrip("/")


def member_hash(email: str) -> str:
    """Return Mailchimp's id of a list member: the MD5 of the lower-case address."""
    return hashlib.md5(utf_8(email.lower()), usedforsecurity=False).hexdigest()


def _member(message: Message, email: str) -> bytes:
    """Build the member with `status_if_new` only: people who left the list are not re-subscribed without consent."""
    member: dict[str, object] = {"email_address": email, "status_if_new": "subscribed"}
    first, last = buyer_names(message)
    fields = {name: text for name, text in (("FNAME", first), ("LNAME", last)) if text}
    if fields:
        member["merge_fields"] = fields
    return utf_8(compact_json(member))


def _first_list(response: Response) -> Outcome:
    """Read the response to `GET /lists?count=1`: save the list as a parameter and continue the delivery immediately."""
    lists = (parsed_object(response) or {}).get("lists")
    first = lists[0] if isinstance(lists, list) and lists else None
    list_id = first.get("id") if isinstance(first, dict) else None
    if isinstance(list_id, str) and re.fullmatch(r"[A-Za-z0-9_-]{1,64}", list_id):
        summary = "The account's first audience was looked up."
        return Outcome(True, summary=summary, parameters={"list_id": list_id}, again=True)
    if isinstance(lists, list) and not lists:
        return Outcome(
            False,
            kind="mailchimp_no_list",
            message="The Mailchimp account has no audience: create one there, or set the parameter 'list_id'.",
            is_permanent=True,
        )
    return Outcome(
        False,
        kind="mailchimp_answer",
        message="Mailchimp returned an unexpected response to the request for its audiences.",
    )
