"""The address guard: what may be saved, what may be connected to."""

from __future__ import annotations

import contextlib
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.transport.guard.addresses import AddressPolicy, UrlRefused, check_url, parse_allow, parse_url
from tests.integrations.transport.conftest import LOOPBACK, PUBLIC_ONLY
from tests.integrations.transport.corpus import SPECIAL_ADDRESSES, refused_urls, tricky_urls


@pytest.mark.parametrize("url", refused_urls(9292), ids=lambda url: repr(url[:60]))
def test_a_url_to_a_forbidden_place_is_refused_with_a_reason(url: str) -> None:
    with pytest.raises(UrlRefused) as refusal:
        check_url(url, PUBLIC_ONLY)
    assert len(refusal.value.reason) > 30
    assert refusal.value.reason.endswith(".")


@pytest.mark.parametrize("url", tricky_urls(9292), ids=lambda url: repr(url[:60]))
def test_a_tricky_spelling_is_refused_even_where_every_address_is_allowed(url: str) -> None:
    with pytest.raises(UrlRefused):
        check_url(url, AddressPolicy(parse_allow("127.0.0.0/8,::1/128,169.254.0.0/16")))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "LOCALHOST", "shop.localhost"])
def test_the_demo_may_send_to_its_own_machine(host: str) -> None:
    url = f"http://{host}:9292/x"
    assert check_url(url, LOOPBACK) == url


@pytest.mark.parametrize("host", SPECIAL_ADDRESSES)
def test_allowing_loopback_allows_nothing_else(host: str) -> None:
    with pytest.raises(UrlRefused):
        check_url(f"http://{host}/", LOOPBACK)


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/hook",
        "https://shop.example",
        "HTTPS://Shop.Example:8443/a%2fb?x=[1]&y={z}@home:%20",
        "http://8.8.8.8/",
        "http://[2606:4700::1111]:8080/",
        "http://[64:ff9b::808:808]/",
        "https://xn--bcher-kva.example/?q",
        "https://a_b.example/",
        "https://1-2-3.example/",
        "https://127.0.0.1.nip.example/",
        "https://0x7f.1.example/",
        "https://shop.example?x=1",
        f"https://{'a' * 63}.example/",
    ],
)
def test_a_url_to_a_public_place_is_returned_unchanged(url: str) -> None:
    assert check_url(url, PUBLIC_ONLY) == url


def test_the_parts_of_a_url_are_its_own_bytes() -> None:
    target = parse_url("HTTPS://Shop.Example:8443?x=%7e", PUBLIC_ONLY)
    assert (target.scheme, target.authority, target.host) == ("https", "Shop.Example:8443", "Shop.Example")
    assert (target.port, target.path, target.address) == (8443, "/?x=%7e", None)
    assert parse_url("http://[2606:4700:0::1]/", PUBLIC_ONLY).address == "2606:4700::1"
    assert parse_url("https://shop.example", PUBLIC_ONLY).port == 443


def test_a_name_without_a_dot_is_for_those_who_allow_a_network_of_their_own() -> None:
    with pytest.raises(UrlRefused, match="local network"):
        check_url("http://receiver:8000/", PUBLIC_ONLY)
    assert check_url("http://receiver:8000/", AddressPolicy(parse_allow("172.16.0.0/12")))


def test_a_refusal_says_what_the_address_is_and_who_can_allow_it() -> None:
    with pytest.raises(UrlRefused) as refusal:
        check_url("http://169.254.169.254/latest", PUBLIC_ONLY)
    assert "169.254.169.254" in refusal.value.reason
    assert "metadata" in refusal.value.reason
    assert "OUTBOUND_ALLOW" in refusal.value.reason


def test_the_allow_list_opens_exactly_its_networks() -> None:
    policy = AddressPolicy(parse_allow("10.20.0.0/16, fd00:1::/32"))
    assert policy.permits("10.20.255.255")
    assert policy.permits("fd00:1::1")
    assert policy.permits("1.1.1.1")
    assert not policy.permits("10.21.0.0")
    assert not policy.permits("fd00:2::1")
    assert not policy.permits("::ffff:10.20.0.1")


def test_the_allow_list_is_read_from_text_or_a_list() -> None:
    both = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    assert parse_allow("127.0.0.0/8,::1/128") == both
    assert parse_allow(["127.0.0.0/8", " ::1/128 ", ""]) == both
    assert parse_allow("") == ()


@pytest.mark.parametrize("entry", ["10.0.0.1/8", "loopback", "10.0.0.0/33", "10.0.0.0-10.0.0.9"])
def test_a_wrong_entry_of_the_allow_list_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match="OUTBOUND_ALLOW"):
        parse_allow(f"127.0.0.0/8,{entry}")


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "2130706433", "fe80::1%lo", "1.2.3.4 ", "010.0.0.1"])
def test_text_that_is_no_plain_address_is_never_permitted(text: str) -> None:
    assert not AddressPolicy(parse_allow("0.0.0.0/0,::/0")).permits(text)


def test_policies_are_equal_by_value() -> None:
    assert AddressPolicy(parse_allow("127.0.0.0/8")) == AddressPolicy(parse_allow("127.0.0.0/8"))
    assert hash(AddressPolicy()) == hash(PUBLIC_ONLY)
    assert AddressPolicy() != LOOPBACK


@given(st.ip_addresses(v=4))
def test_no_permitted_ipv4_address_is_private_to_python_either(address: IPv4Address) -> None:
    if PUBLIC_ONLY.permits(address):
        flags = (address.is_private, address.is_loopback, address.is_link_local, address.is_multicast)
        assert not any(flags)


@given(st.ip_addresses(v=6))
def test_no_permitted_ipv6_address_is_private_to_python_either(address: IPv6Address) -> None:
    if PUBLIC_ONLY.permits(address):
        flags = (address.is_private, address.is_link_local, address.is_multicast, address.is_site_local)
        assert not any(flags)


@given(st.ip_addresses(v=4, network="10.0.0.0/8"), st.sampled_from(["::", "::ffff:0:0", "64:ff9b::", "::ffff:0:0:0"]))
def test_a_private_address_inside_an_ipv6_address_is_refused(inner: IPv4Address, prefix: str) -> None:
    assert not PUBLIC_ONLY.permits(IPv6Address(int(IPv6Address(prefix)) | int(inner)))


@given(st.text(max_size=60))
def test_any_text_is_either_a_url_or_refused(text: str) -> None:
    for url in (text, f"http://{text}", f"http://shop.example/{text}", f"http://shop.example:{text}"):
        with contextlib.suppress(UrlRefused):
            assert check_url(url, PUBLIC_ONLY) == url
