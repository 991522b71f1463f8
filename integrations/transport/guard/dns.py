"""DNS lookups with a deadline: a few daemon threads, a short cache, one lookup per name at a time.

`getaddrinfo` cannot be interrupted and may hang, so it runs in daemon threads. Answers are cached for a few seconds
only, and the caller checks every address before each connection, so DNS rebinding does not get past the guard.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import OrderedDict
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from functools import lru_cache
from ipaddress import ip_address

from django.utils.translation import gettext as _

from integrations.transport.base import TransportError
from integrations.transport.daemon_pool import DaemonPool
from integrations.transport.guard.addresses import (
    AddressPolicy,
    Target,
    UrlRefused,
    describe_refusal,
    is_loopback_name,
    parse_url,
)
from integrations.transport.per_process import per_process

ANSWER_SECONDS = 5.0
ANSWER_LIMIT = 2048  #: maximum number of cached names
ADDRESS_LIMIT = 16  #: maximum number of addresses per name
LOOKUP_THREADS = 64
HOSTS_FILE = "/etc/hosts"

Addresses = tuple[str, ...]


class Resolver:
    """Looks up absolute names only: the machine's search domains are never tried."""

    def __init__(self, *, threads: int = LOOKUP_THREADS, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._pool = DaemonPool(threads, "lookup")
        self._answer_seconds = answer_seconds
        self._lock = threading.Lock()
        self._answers: OrderedDict[str, tuple[float, Addresses]] = OrderedDict()
        self._lookups: dict[str, Future[Addresses]] = {}

    def remembered(self, name: str) -> Addresses | None:
        """Return the cached addresses of `name`, or None."""
        answer = self._answers.get(name)
        return answer[1] if answer is not None and time.monotonic() < answer[0] else None

    def lookup(self, name: str) -> Future[Addresses]:
        """Return a future of the addresses of `name`. It raises TransportError (DNS) if there are none."""
        with self._lock:
            running = self._lookups.get(name)
            if running is not None:
                return running
            future: Future[Addresses] = Future()
            self._lookups[name] = future
        self._pool.submit(lambda: self._run(name, future))
        return future

    def resolve(self, name: str, timeout: float) -> Addresses:
        """Return the addresses of `name` within `timeout` seconds; raises TransportError (DNS or TIMEOUT)."""
        known = self.remembered(name)
        if known is not None:
            return known
        try:
            return self.lookup(name).result(max(timeout, 0.0))
        except FutureTimeout:
            raise TransportError(
                TransportError.TIMEOUT, f"The DNS lookup of {name} did not end before the deadline."
            ) from None

    def forget(self) -> None:
        """Clear the cache."""
        with self._lock:
            self._answers.clear()

    def _run(self, name: str, future: Future[Addresses]) -> None:
        try:
            addresses = _system_lookup(name)
        except Exception as error:  # the future must always be completed, whatever the system's resolver raises
            with self._lock:
                self._lookups.pop(name, None)
            reason = getattr(error, "strerror", None) or error
            future.set_exception(
                TransportError(TransportError.DNS, f"The name {name} does not resolve: {reason}. Check its spelling.")
            )
            return
        with self._lock:
            self._lookups.pop(name, None)
            self._answers.pop(name, None)
            self._answers[name] = (time.monotonic() + self._answer_seconds, addresses)
            if len(self._answers) > ANSWER_LIMIT:
                self._answers.popitem(last=False)
        future.set_result(addresses)


def permitted_addresses(target: Target, addresses: Addresses, policy: AddressPolicy) -> Addresses:
    """Return `addresses` if all of them are permitted; raises TransportError (REFUSED_ADDRESS) otherwise.

    A forbidden address among public ones indicates DNS rebinding, so it invalidates the whole answer. The error is
    not permanent for a DNS answer, because the owner of the name may correct it. `localhost` is not looked up: the
    permitted ones of 127.0.0.1 and ::1 are returned.
    """
    if target.address is None and is_loopback_name(target.host.lower()):
        addresses = tuple(filter(policy.permits, addresses)) or addresses
    for address in addresses:
        if not policy.permits(address):
            named = "" if target.address else f"{target.host} resolves to a forbidden address: "
            raise TransportError(
                TransportError.REFUSED_ADDRESS,
                f"{named}{describe_refusal(address)}",
                permanent=target.address is not None,
            )
    return addresses


def refuse_forbidden_name(url: str, policy: AddressPolicy, timeout: float) -> None:
    """Raise UrlRefused if the host name of `url` resolves, within `timeout` seconds, to forbidden addresses only.

    A name that does not resolve, or that also resolves to a permitted address, is accepted: it is checked again before
    each connection. This may wait for DNS, so never call it inside a transaction.
    """
    target = parse_url(url, policy)
    if target.address is not None:
        return
    try:
        addresses = shared_resolver().resolve(target.host, timeout)
    except TransportError:
        return
    if not any(map(policy.permits, addresses)):
        raise UrlRefused(
            _("%(host)s resolves to a forbidden address: %(refusal)s")
            % {"host": target.host, "refusal": describe_refusal(addresses[0])}
        )


def _system_lookup(name: str) -> Addresses:
    name = name.lower()
    if is_loopback_name(name):
        return ("127.0.0.1", "::1")
    listed = _hosts_file_addresses(name)
    if listed:
        return listed
    # The trailing dot makes the name absolute. The system then skips its hosts file, which is why it is read above.
    found = socket.getaddrinfo(f"{name}.", None, type=socket.SOCK_STREAM)
    addresses = dict.fromkeys(_plain(str(entry[4][0])) for entry in found)
    if not addresses:
        raise OSError("no addresses")
    if len(addresses) > ADDRESS_LIMIT:
        raise OSError(f"more than {ADDRESS_LIMIT} addresses")
    return tuple(addresses)


def _hosts_file_addresses(name: str) -> Addresses:
    try:
        changed = os.stat(HOSTS_FILE).st_mtime_ns
    except OSError:
        return ()
    return _read_hosts_file(HOSTS_FILE, changed).get(name, ())


@lru_cache(maxsize=2)
def _read_hosts_file(path: str, _changed: int) -> dict[str, Addresses]:
    names: dict[str, Addresses] = {}
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            address, *aliases = line.partition("#")[0].split() or [""]
            for alias in aliases:
                names[alias.lower()] = (*names.get(alias.lower(), ()), _plain(address))
    return names


def _plain(address: str) -> str:
    """Return the canonical spelling of an address. Other text is returned unchanged; it is never permitted."""
    try:
        return str(ip_address(address))
    except ValueError:
        return address


shared_resolver = per_process(Resolver)
