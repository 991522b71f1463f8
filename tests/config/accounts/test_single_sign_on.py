"""Single sign-on against a server over HTTP: who is let in, as what, and every token that is none."""

from __future__ import annotations

import base64
import json
import time
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError

import jwt
import pytest
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from cryptography.hazmat.primitives.asymmetric import rsa
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from config.observability.doctor_login import examine_login
from integrations.models import AuditEntry
from integrations.security.staff import visible_store_ids
from tests.config.accounts.oidc_server import CLIENT, SECRET, OidcServer, running
from tests.factories import StoreFactory, UserFactory

pytestmark = pytest.mark.django_db
START = "/accounts/oidc/sso/login/"
ADA = {"sub": "u-1", "preferred_username": "ada", "email": "ada@corp.example", "groups": ["support"]}


@pytest.fixture
def server(settings: Any) -> Iterator[OidcServer]:
    with running(OidcServer(person=dict(ADA))) as found:
        settings.OIDC_ISSUER, settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = found.url, CLIENT, SECRET
        settings.OIDC_ROLES = "support=Operator:my-shop,admins=Manager"
        settings.PUBLIC_URL = "http://testserver"
        StoreFactory(name="My shop")
        StoreFactory(name="Other shop")
        yield found


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def through(client: Client, path: str = START) -> Any:
    """To the server as a browser goes there, and back with what it says."""
    there = client.get(path)
    assert there.status_code == 302, there.content.decode()[-600:]
    try:
        urllib.request.build_opener(_Stay).open(there.url)
        raise AssertionError("the server leads nowhere")
    except HTTPError as answer:
        back = answer.headers["Location"]
        answer.close()
    assert back.startswith("http://testserver/accounts/oidc/sso/login/callback/?")
    return client.get(back.removeprefix("http://testserver"))


def is_in(client: Client) -> bool:
    return client.get(reverse("admin:index")).status_code == 200


def refused(response: Any, words: str = "") -> bool:
    return response.status_code in (401, 403) and words in response.content.decode()


def test_a_new_person_gets_the_role_and_the_stores_of_their_group(server: OidcServer) -> None:
    client = Client()
    before = client.session.session_key
    answer = through(client, f"{START}?next=/admin/deliveries/delivery/")
    assert (answer.status_code, answer.url) == (302, "/admin/deliveries/delivery/")
    ada = User.objects.get(username="ada")
    assert [group.name for group in ada.groups.all()] == ["Operator"]
    assert [store.name for store in ada.stores.all()] == ["My shop"]
    assert (ada.is_superuser, ada.has_usable_password(), ada.email) == (False, False, "ada@corp.example")
    assert is_in(client)
    assert client.session.session_key != before
    assert set(AuditEntry.objects.values_list("actor", "action")) >= {
        ("Single sign-on", "create"),
        ("Single sign-on", "change"),
    }
    assert server.asked["code_challenge_method"] == "S256"
    assert server.sent["code_verifier"]
    assert "opaque" not in str(SocialAccount.objects.values())


def test_roles_follow_the_groups_at_each_login_and_go_with_them(server: OidcServer) -> None:
    through(Client())
    ada = User.objects.get(username="ada")
    ada.groups.add(Group.objects.get(name="Viewer"))  # by hand: the groups decide
    server.person["groups"] = ["admins", "support"]
    elsewhere = Client()
    through(elsewhere)
    assert [group.name for group in ada.groups.all()] == ["Manager"]
    assert visible_store_ids(User.objects.get(pk=ada.pk)) is None
    server.person["groups"] = ["canteen"]
    assert refused(through(Client()), "None of your groups")
    assert not ada.groups.exists()
    assert visible_store_ids(User.objects.get(pk=ada.pk)) == []
    assert not is_in(elsewhere)


@pytest.mark.parametrize("groups", [["canteen"], [], None, {"support": 1}, "sup", ["SUPPORT"]])
def test_who_is_in_no_group_with_a_role_is_not_let_in_and_not_made(server: OidcServer, groups: Any) -> None:
    server.person["groups"] = groups
    client = Client()
    assert refused(through(client), "None of your groups")
    assert not is_in(client)
    assert not User.objects.exists()


@pytest.mark.parametrize("taken", [{"username": "root", "email": "ADA@corp.example"}, {"username": "Ada", "email": ""}])
def test_the_account_of_somebody_with_the_same_address_or_name_is_not_taken_over(
    server: OidcServer, taken: dict[str, str]
) -> None:
    UserFactory(**taken)
    client = Client()
    server.person["email_verified"] = True
    assert refused(through(client), "takes over nobody")
    assert not is_in(client)
    assert User.objects.count() == 1
    assert not SocialAccount.objects.exists()


def test_a_member_of_staff_connects_it_and_stays_who_they_are(server: OidcServer) -> None:
    boss = UserFactory(username="boss", email="ada@corp.example")
    client = Client()
    client.force_login(boss)
    answer = through(client, f"{START}?process=connect")
    assert answer.url == reverse("account_security")
    assert AuditEntry.objects.filter(action="connect single sign-on", user=boss).exists()
    fresh = Client()
    through(fresh)
    assert fresh.session["_auth_user_id"] == str(boss.pk)
    other = Client()
    other.force_login(UserFactory(username="other"))
    assert refused(through(other, f"{START}?process=connect"), "another member of staff")


def _unsigned(server: OidcServer, claims: dict[str, Any]) -> str:
    def part(document: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none', 'kid': 'one'})}.{part(claims)}."


FORGED: dict[str, Any] = {
    "signed by somebody else": lambda server, claims: server.sign(claims, rsa.generate_private_key(65537, 2048)),
    "signed by nobody": _unsigned,
    "signed with the public key as a password": lambda server, claims: jwt.encode(
        claims, "n" * 64, algorithm="HS256", headers={"kid": "one"}
    ),
    "of a key that is not there": lambda server, claims: server.sign(claims, kid="two"),
    "for another client": lambda server, claims: server.sign({**claims, "aud": "other"}),
    "for another client too": lambda server, claims: server.sign({**claims, "aud": [CLIENT, "b"], "azp": "b"}),
    "of another server": lambda server, claims: server.sign({**claims, "iss": "https://evil.example"}),
    "too old": lambda server, claims: server.sign({**claims, "exp": int(time.time()) - 60}),
    "of nobody": lambda server, claims: server.sign({name: value for name, value in claims.items() if name != "sub"}),
    "no token": lambda server, claims: "nonsense",
    "without a key's name": lambda server, claims: jwt.encode(claims, server.key, algorithm="RS256"),
}


@pytest.mark.parametrize("how", FORGED)
def test_a_forged_token_lets_nobody_in(server: OidcServer, how: str) -> None:
    server.forge = lambda claims: FORGED[how](server, claims)
    client = Client()
    assert refused(through(client), "Single sign-on failed")
    assert not is_in(client)
    assert not User.objects.exists()


def test_user_info_of_somebody_else_is_refused_and_cannot_add_groups_to_a_signed_token(server: OidcServer) -> None:
    server.userinfo = {**ADA, "sub": "u-2"}
    assert refused(through(Client()))
    server.userinfo = {**ADA, "groups": ["admins"]}
    through(Client())
    assert [group.name for group in User.objects.get(username="ada").groups.all()] == ["Operator"]


@pytest.mark.parametrize(
    "config",
    [{"issuer": "https://evil.example"}, {"jwks_uri": None}, {"token_endpoint": "http://127.0.0.2:9/token"},
     {"jwks_uri": "http://169.254.169.254/latest"}],
)  # fmt: skip
def test_a_server_that_names_another_issuer_or_private_addresses_is_not_used(
    server: OidcServer, config: dict[str, Any]
) -> None:
    server.config = config
    answer = Client().get(START)
    if answer.status_code == 302:
        answer = through(Client())
    assert refused(answer, "Single sign-on failed")
    assert not User.objects.exists()


def test_the_same_subject_at_another_server_is_somebody_else(server: OidcServer, settings: Any) -> None:
    through(Client())
    with running(OidcServer(person={**ADA, "preferred_username": "eve", "email": "eve@b.example"})) as second:
        settings.OIDC_ISSUER = second.url
        client = Client()
        through(client)
    assert client.session["_auth_user_id"] == str(User.objects.get(username="eve").pk)


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_it_leads_nowhere_else(server: OidcServer, wanted: str) -> None:
    assert through(Client(), f"{START}?next={wanted}").url == reverse("admin:index")


def test_an_answer_that_was_not_asked_for_and_another_sites_link_are_refused(server: OidcServer) -> None:
    assert refused(Client().get(f"{START}callback/?code=a&state=b"), "Single sign-on failed")
    assert refused(Client().get(START, headers={"Sec-Fetch-Site": "cross-site"}), "Another site")


@pytest.mark.parametrize("switch", ["is_active", "is_staff"])
def test_who_is_switched_off_stays_out(server: OidcServer, switch: str) -> None:
    through(Client())
    User.objects.update(**{switch: False})
    client = Client()
    assert refused(through(client), "switched off")
    assert not is_in(client)


def delicate(client: Client) -> Any:
    return client.post(reverse("admin:auth_group_add"), {"name": "made"})


def test_who_has_no_password_confirms_by_logging_in_there_again(server: OidcServer, settings: Any) -> None:
    client = Client()
    through(client)
    ada = User.objects.get(username="ada")
    User.objects.filter(pk=ada.pk).update(is_superuser=True)
    settings.CONFIRM_MINUTES = -1
    asked = delicate(client)
    page = client.get(asked.url).content.decode()
    assert "Confirm with single sign-on" in page
    assert 'name="password"' not in page
    link = page.split('href="')[[part.startswith(START) for part in page.split('href="')].index(True)].split('"')[0]
    path = link.replace("&amp;", "&")
    # The server did not ask again: nothing is proven.
    assert refused(through(client, path), "did not ask for your login again")
    server.claims = {"auth_time": int(time.time()) - 600}
    assert refused(through(client, path), "did not ask for your login again")
    assert (server.asked["prompt"], server.asked["max_age"]) == ("login", "0")
    server.claims = {"auth_time": int(time.time())}
    back = through(client, path)
    settings.CONFIRM_MINUTES = 10
    resumed = client.get(back.url).content.decode()
    assert 'name="name" value="made"' in resumed
    server.person = {**ADA, "sub": "u-2", "preferred_username": "bo", "email": "bo@corp.example"}
    assert refused(through(client, path), "not the single sign-on account")


def test_a_session_that_is_older_than_the_second_factor_is_not_confirmed_there(server: OidcServer) -> None:
    client = Client()
    through(client)
    Authenticator.objects.create(user=User.objects.get(), type="totp", data={"secret": "x"})
    server.claims = {"auth_time": int(time.time())}
    assert refused(through(client, f"{START}?process=confirm"), "confirm with the second factor")


def test_a_second_factor_that_the_server_asked_for_counts(server: OidcServer, settings: Any) -> None:
    settings.REQUIRE_SECOND_FACTOR = ["Operator"]
    client = Client()
    through(client)
    assert client.get(reverse("admin:index")).url == reverse("account_security")
    server.claims = {"amr": ["pwd", "mfa"]}
    client = Client()
    through(client)
    assert is_in(client)


def test_doctor_names_what_is_half_set_up(server: OidcServer, settings: Any) -> None:
    assert [finding.level for finding in examine_login()] == ["ok"]
    settings.OIDC_ROLES = "support=Operater,admins=Manager:no shop"
    said = " ".join(finding.message for finding in examine_login())
    assert "Operater" in said
    assert "no shop" in said
    settings.OIDC_CLIENT_SECRET = ""
    settings.REQUIRE_SECOND_FACTOR = ["Boss"]
    settings.LOGIN_PASSWORDS = False
    said = " ".join(finding.message for finding in examine_login())
    assert "OIDC_CLIENT_SECRET" in said
    assert "boss" in said
    assert "no superuser has connected" in said
