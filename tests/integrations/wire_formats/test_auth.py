"""Auth types and extra headers (docs/contract.md#authentication-of-deliveries)."""

from __future__ import annotations

from base64 import b64encode

import pytest

from integrations.connectors import CONNECTORS, adapter_for, get_connector
from integrations.wire_formats import WIRE_FORMATS, get_wire_format
from integrations.wire_formats.auth import auth_headers, prepare
from integrations.wire_formats.base import PayloadError
from integrations.wire_formats.static_headers import check_header_name, check_static_headers
from tests.integrations.messages import endpoint


@pytest.mark.parametrize(
    ("auth_type", "token", "header"),
    [
        ("bearer", "123", ("Authorization", "Bearer 123")),
        ("token", "123", ("Authorization", "Token 123")),
        ("basic", "user:pass", ("Authorization", "Basic " + b64encode(b"user:pass").decode())),
        ("basic", "key", ("Authorization", "Basic " + b64encode(b"key:").decode())),
        ("header", "123", ("X-Custom", "123")),
        ("hub", "123", ("X-Hub-Token", "123")),
    ],
)
def test_each_auth_type_makes_its_header(auth_type, token, header):
    assert auth_headers(endpoint(auth_type=auth_type, auth_header="X-Custom", token=token)) == (header,)


@pytest.mark.parametrize("auth_type", ["none", "bearer", "token", "basic", "header", "hub"])
def test_without_a_token_there_is_no_header(auth_type):
    assert auth_headers(endpoint(auth_type=auth_type)) == ()


def test_an_unknown_auth_type_is_a_visible_failure():
    with pytest.raises(PayloadError):
        auth_headers(endpoint(auth_type="magic", token="x"))


def test_good_headers_pass():
    check_static_headers({"X-Shop": "7", "Accept-Language": "de", "X-Latin": "Grüße", "X-Empty": ""})
    check_static_headers([("X-Shop", "7\t8")])


@pytest.mark.parametrize(
    "name",
    [
        "Host", "host", "Content-Length", "Content-Type", "Transfer-Encoding", "Connection", "TE", "Upgrade",
        "User-Agent", "X-Hub-Token", "X_Hub_Token", "X-Hub-Signature", "X-Hub-Signature-256", "webhook-id",
        "Webhook-Signature", "webhook-anything", "X-Turn-Hook-Signature", "X-Spiffy-Stores-Id", "Authorization",
        "Proxy-Authorization", "X-Hub-Signature-Previous", "Accept-Encoding", "Expect",
    ],
)  # fmt: skip
def test_reserved_headers_are_refused(name):
    with pytest.raises(ValueError, match=name):
        check_static_headers({name: "x"})


@pytest.mark.parametrize("name", ["", "X A", "X:A", "X\r\nA", "Ä", "X\x00", "X-A\n"])
def test_names_that_are_none_are_refused(name):
    with pytest.raises(ValueError, match="not a header name"):
        check_static_headers({name: "x"})


@pytest.mark.parametrize("value", ["a\r\nHost: x", "a\n", "\x00", "\x7f", "€", "😀", "x" * 5000, None, 7])
def test_values_that_would_break_the_request_are_refused(value):
    with pytest.raises(ValueError, match="The value of the header X-A"):
        check_static_headers({"X-A": value})


def test_a_header_given_twice_is_refused():
    with pytest.raises(ValueError, match="twice"):
        check_static_headers([("X-A", "1"), ("x-a", "2")])


def test_too_many_headers_are_refused():
    with pytest.raises(ValueError, match="At most 50"):
        check_static_headers({f"X-{number}": "1" for number in range(51)})


def test_the_header_of_auth_type_header_may_be_authorization_but_no_reserved_one():
    check_header_name("Authorization")
    with pytest.raises(ValueError, match="reserved"):
        check_header_name("Host")


def test_preparation_is_remembered_by_endpoint_and_not_mixed_up():
    first, second = endpoint(auth_type="bearer", token="one"), endpoint(auth_type="bearer", token="two")
    assert prepare(first) is prepare(first)
    assert prepare(first).headers != prepare(second).headers


def test_formats_and_connectors_are_found_by_name():
    assert list(WIRE_FORMATS) == ["standard", "hub", "notification", "flat", "xml", "turn"]
    assert list(CONNECTORS) == ["twilio_sms", "mailchimp", "campaign_monitor", "email"]
    assert adapter_for(endpoint(wire_format="xml")) is get_wire_format("xml")
    assert adapter_for(endpoint(wire_format="xml", connector="email")) is get_connector("email")


@pytest.mark.parametrize("find", [get_wire_format, get_connector])
def test_an_unknown_name_says_which_there_are(find):
    with pytest.raises(LookupError, match="available"):
        find("fax")
