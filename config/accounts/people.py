"""Members of staff who come by single sign-on: made, given the roles and stores of their groups, and turned away."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import translation
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from config.accounts.group_roles import Grant, GroupRole, grant_of, groups_in, parse_roles
from config.accounts.sessions import end_sessions
from integrations.foundation.audit import Actor, record_change
from integrations.models import StaffProfile, Store

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

SINGLE_SIGN_ON = Actor(None, "Single sign-on")
LONGEST_NAME = 150


class Refused(Exception):
    """This person may not log in; the message says why, and what to do, in the language of the page."""

    def __init__(self, sentence: StrOrPromise, **values: str) -> None:
        super().__init__(sentence, values)
        self._sentence, self._values = sentence, values

    def __str__(self) -> str:
        return str(self._sentence) % self._values

    @property
    def english(self) -> str:
        """For logs."""
        with translation.override("en"):
            return str(self)


def grant_for(claims: Mapping[str, Any]) -> Grant:
    """What this person's groups give. Raises Refused if nothing."""
    groups = groups_in(claims.get(settings.OIDC_GROUPS_CLAIM))
    grant = grant_of(groups, parse_roles(settings.OIDC_ROLES))
    if grant is None:
        raise Refused(
            _("None of your groups has a role in Hookdesk. Whoever runs Hookdesk can give one a role (OIDC_ROLES).")
        )
    return grant


@transaction.atomic
def create_person(claims: Mapping[str, Any]) -> User:
    """A new member of staff without a password. Raises Refused if the name or e-mail address is somebody's."""
    email, name = _email_of(claims), _name_of(claims)
    taken = User.objects.filter(username__iexact=name).exists()
    if taken or (email and User.objects.filter(email__iexact=email).exists()):
        raise Refused(
            _(
                "A member of staff with this name or e-mail address exists already, and single sign-on takes over "
                "nobody’s account. If it is yours: log in as before, open “Login and security” and connect single "
                "sign-on."
            )
        )
    person = User(
        username=name,
        email=email,
        first_name=_text(claims, "given_name")[:LONGEST_NAME],
        last_name=_text(claims, "family_name")[:LONGEST_NAME],
        is_staff=True,
    )
    person.set_unusable_password()
    person.save()
    record_change(actor=SINGLE_SIGN_ON, action="create", target=person, store=None, after={"username": name})
    return person


@transaction.atomic
def give(person: User, grant: Grant) -> None:
    """Set roles and stores to what the groups say; superusers stay what they are. Audited if it changes anything.

    Raises Refused if OIDC_ROLES names a role or store that does not exist.
    """
    roles = [_role(name) for name in grant.roles]
    stores = None if grant.stores is None else [store_named(name) for name in sorted(grant.stores)]
    before = _shown(person)
    person.groups.set(roles)
    person.stores.set(stores or [])
    StaffProfile.objects.update_or_create(user=person, defaults={"sees_all_stores": stores is None})
    if (after := _shown(person)) != before:
        record_change(actor=SINGLE_SIGN_ON, action="change", target=person, store=None, before=before, after=after)


@transaction.atomic
def take_away(person: User) -> None:
    """None of their groups has a role any more: no role, no store, and no session."""
    before = _shown(person)
    person.groups.clear()
    person.stores.clear()
    StaffProfile.objects.filter(user=person).update(sees_all_stores=False)
    end_sessions(person)
    if (after := _shown(person)) != before:
        record_change(actor=SINGLE_SIGN_ON, action="change", target=person, store=None, before=before, after=after)


@transaction.atomic
def connect(person: User, account: SocialAccount) -> None:
    """From now on this person logs in by single sign-on too. Raises Refused if somebody is connected already."""
    other = SocialAccount.objects.filter(provider=account.provider, uid=account.uid).first()
    if other is not None and other.user_id != person.pk:
        raise Refused(_("This single sign-on account is connected to another member of staff."))
    mine = SocialAccount.objects.filter(provider=account.provider, user=person).exclude(uid=account.uid)
    if mine.exists():
        raise Refused(_("Another single sign-on account is connected to you. Disconnect it first."))
    if other is None:
        account.user = person
        account.save()
        record_change(actor=Actor.of_user(person), action="connect single sign-on", target=person, store=None)


def store_named(name: str) -> Store:
    """By id, name, or name as in an address (`my-shop` for “My shop”). Raises Refused if none or several match."""
    try:
        found = list(Store.objects.filter(pk=uuid.UUID(name)))
    except ValueError:
        found = list(Store.objects.filter(name__iexact=name)[:2]) or _by_slug(name, Store.objects.iterator())
    if not found:
        raise Refused(
            _("OIDC_ROLES names no store “%(name)s”. Whoever runs Hookdesk must correct the setting."), name=name
        )
    if len(found) > 1:
        sentence = _("OIDC_ROLES names more than one store “%(name)s”. Whoever runs Hookdesk must correct the setting.")
        raise Refused(sentence, name=name)
    return found[0]


def wrong_rules(rules: Collection[GroupRole]) -> list[str]:
    """What is wrong with these, as sentences; for `manage.py doctor`."""
    found = []
    for rule in rules:
        try:
            _role(rule.role)
            if rule.store:
                store_named(rule.store)
        except Refused as refused:
            found.append(str(refused))
    return sorted(set(found))


def _by_slug(name: str, stores: Iterable[Store]) -> list[Store]:
    return [store for store in stores if slugify(store.name) == name.casefold()]


def _role(name: str) -> Group:
    found = Group.objects.filter(name__iexact=name).first()
    if found is None:
        raise Refused(
            _("OIDC_ROLES names no role “%(name)s”. Whoever runs Hookdesk must correct the setting."), name=name
        )
    return found


def _name_of(claims: Mapping[str, Any]) -> str:
    for name in (_text(claims, "preferred_username"), _email_of(claims)):
        try:
            UnicodeUsernameValidator()(name)
        except ValidationError:
            continue
        if len(name) <= LONGEST_NAME:
            return name
    return f"sso-{hashlib.sha256(_text(claims, 'sub').encode()).hexdigest()[:12]}"


def _email_of(claims: Mapping[str, Any]) -> str:
    email = _text(claims, "email")
    try:
        validate_email(email)
    except ValidationError:
        return ""
    return email


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value.strip() if isinstance(value, str) else ""


def _shown(person: User) -> dict[str, Any]:
    return {
        "roles": sorted(person.groups.values_list("name", flat=True)),
        "stores": sorted(person.stores.values_list("name", flat=True)),
        "sees_all_stores": StaffProfile.objects.filter(user=person, sees_all_stores=True).exists(),
    }
