"""Creates, authenticates and revokes access tokens."""

from __future__ import annotations

import re
import secrets
import threading
import uuid
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest

from django.utils import timezone
from django.utils.translation import gettext

from integrations.models import AccessToken, Store
from integrations.security.token_addresses import Network, is_within, parse_addresses

PREFIX_LENGTH = 12
#: Resolution of `last_used_at`. Writing it on every call would make each push update one hot row.
LAST_USED_EVERY = timedelta(seconds=60)
CACHE_SIZE = 10_000
_Scope = AccessToken.Scope
#: What a scope includes besides itself. `push` is in none of them: reading and pushing are different programs.
INCLUDED: Mapping[str, frozenset[str]] = {
    _Scope.RESOLVE: frozenset({_Scope.READ}),
    _Scope.MANAGE: frozenset({_Scope.READ, _Scope.RESOLVE}),
    _Scope.PROPOSE: frozenset({_Scope.READ}),
}
#: Those of a token for which none are named: all but the one that restricts it.
DEFAULT_SCOPES = [scope for scope in _Scope.values if scope != _Scope.PROPOSE]


@dataclass(frozen=True, slots=True)
class Principal:
    """The calling store, as of `config_version`. Takes the place of DRF's user."""

    store_id: uuid.UUID
    token_id: uuid.UUID
    token_name: str
    scopes: frozenset[str]
    expires_at: datetime | None
    config_version: int
    #: It may be used from these only; none means from anywhere.
    networks: tuple[Network, ...] = ()
    is_authenticated: bool = True

    @property
    def label(self) -> str:
        """The caller's name in the history."""
        return f"token {self.token_name}"

    def may(self, scope: str) -> bool:
        """Whether the token has this scope, or one that includes it. One that only proposes does not resolve."""
        if scope == _Scope.RESOLVE and self.only_proposes:
            return False
        return scope in self.scopes or any(scope in INCLUDED.get(held, ()) for held in self.scopes)

    @property
    def only_proposes(self) -> bool:
        """Whether what it resolves waits for a person, whatever other scopes it has."""
        return _Scope.PROPOSE in self.scopes

    def may_call_from(self, address: str) -> bool:
        return not self.networks or is_within(address, self.networks)


_CacheKey = tuple[uuid.UUID | None, str]


class _Cache:
    """Principals by the credentials they sent. Shared by all threads of a process; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._principals: dict[_CacheKey, Principal] = {}
        self._keys: dict[uuid.UUID, set[_CacheKey]] = {}  # by token

    def get(self, key: _CacheKey) -> Principal | None:
        return self._principals.get(key)

    def put(self, key: _CacheKey, principal: Principal) -> None:
        with self._lock:
            if len(self._principals) >= CACHE_SIZE:
                self._principals.clear()
                self._keys.clear()
            self._principals[key] = principal
            self._keys.setdefault(principal.token_id, set()).add(key)

    def replace(self, token_id: uuid.UUID, principal: Principal | None) -> None:
        """Replace every cached principal of this token by `principal`; None removes them."""
        with self._lock:
            keys = self._keys.get(token_id, set()) if principal is not None else self._keys.pop(token_id, set())
            for key in keys:
                if principal is None:
                    self._principals.pop(key, None)
                else:
                    self._principals[key] = principal


_cache = _Cache()
_last_used: dict[uuid.UUID, datetime] = {}


#: A token as scanners for leaked secrets look for it. Those made before have no checksum.
TOKEN = re.compile(r"hkd_[a-km-np-z2-9]{12}_[0-9a-f]{56}")


def checksum(text: str) -> str:
    """The last eight characters of a token: CRC-32 of those before them, in hexadecimal."""
    return f"{zlib.crc32(text.encode()):08x}"


def is_token(text: str) -> bool:
    """Can this be a token with a checksum? A scanner can tell without asking us; so can we, without the database."""
    return bool(TOKEN.fullmatch(text)) and checksum(text[:-8]) == text[-8:]


def create_token(
    *,
    store: Store,
    name: str,
    scopes: Collection[str],
    expires_at: datetime | None = None,
    addresses: Collection[str] = (),
) -> tuple[AccessToken, str]:
    """Return a new token and its text, `hkd_<prefix>_<secret><checksum>`, which is not stored.

    Raises ValueError for a bad scope or address. It records no issuer; people and programs use `issue_token`.
    """
    unknown = sorted(set(scopes) - set(AccessToken.Scope.values))
    if unknown or not scopes:
        raise ValueError(
            gettext("Unknown scope %(names)s; known are: %(known)s.")
            % {"names": ", ".join(unknown), "known": ", ".join(AccessToken.Scope.values)}
            if unknown
            else gettext("A token needs a scope.")
        )
    prefix = "hkd_" + "".join(secrets.choice("abcdefghijkmnpqrstuvwxyz23456789") for _ in range(PREFIX_LENGTH))
    secret = f"{prefix}_{secrets.token_hex(24)}"
    text = secret + checksum(secret)
    token = AccessToken.objects.create(
        store=store,
        name=name,
        prefix=prefix,
        token_hash=AccessToken.hash_of(text),
        scopes=[scope for scope in AccessToken.Scope.values if scope in scopes],
        expires_at=expires_at,
        is_issuer_known=True,
        addresses=[str(network) for network in parse_addresses(addresses)] or None,
    )
    return token, text


def authenticate(*, store_id: uuid.UUID | None, token: str, is_cache_allowed: bool = False) -> Principal | None:
    """Return the principal of this token, or None. It may come from the cache: see `CachedStoreAuthentication`."""
    now = timezone.now()
    key = (store_id, AccessToken.hash_of(token))
    if is_cache_allowed and (principal := _cache.get(key)):
        if principal.expires_at is None or principal.expires_at > now:
            _touch(principal.token_id, now)
            return principal
        return None
    principal = _look_up(store_id, token, key[1], now)
    if principal is None:
        return None
    _cache.put(key, principal)
    _touch(principal.token_id, now)
    return principal


def cached_principal(*, store_id: uuid.UUID | None, token: str) -> Principal | None:
    """Who calls with this token, if this process knows without the database, and need not write `last_used_at` now.

    May be stale, like every cached answer: see `CachedStoreAuthentication`.
    """
    principal = _cache.get((store_id, AccessToken.hash_of(token)))
    if principal is None:
        return None
    now = timezone.now()
    if principal.expires_at is not None and principal.expires_at <= now:
        return None
    last = _last_used.get(principal.token_id)
    return principal if last is not None and now - last <= LAST_USED_EVERY else None


def forget(principal: Principal) -> None:
    """Remove this principal from the cache, because its configuration has changed."""
    _cache.replace(principal.token_id, None)


def refresh(principal: Principal) -> Principal | None:
    """Return the principal's current state, or None if its token was revoked or has expired."""
    now = timezone.now()
    found = AccessToken.objects.active(now).select_related("store").filter(id=principal.token_id).first()
    current = None if found is None else _principal(found)
    if current != principal:
        _cache.replace(principal.token_id, current)
    return current


def _look_up(store_id: uuid.UUID | None, token: str, token_hash: str, now: datetime) -> Principal | None:
    prefix = token.rpartition("_")[0]
    if not prefix or len(prefix) > 32 or (TOKEN.fullmatch(token) and not is_token(token)):
        return None
    found = AccessToken.objects.active(now).select_related("store").filter(prefix=prefix).first()
    if found is None or not compare_digest(found.token_hash, token_hash):
        return None
    if store_id is not None and found.store_id != store_id:
        return None
    return _principal(found)


def _principal(token: AccessToken) -> Principal:
    return Principal(
        store_id=token.store_id,
        token_id=token.id,
        token_name=token.name,
        scopes=frozenset(token.scopes),
        expires_at=token.expires_at,
        config_version=token.store.config_version,
        networks=parse_addresses(token.addresses or ()),
    )


def _touch(token_id: uuid.UUID, now: datetime) -> None:
    last = _last_used.get(token_id)
    if last is None or now - last > LAST_USED_EVERY:
        _last_used[token_id] = now
        AccessToken.objects.filter(id=token_id).update(last_used_at=now)


def revoke_token(*, token: AccessToken, now: datetime | None = None) -> None:
    """Revoke the token, effective immediately in every process (its store's `config_version` increases)."""
    AccessToken.objects.filter(id=token.id, revoked_at=None).update(revoked_at=now or timezone.now())
