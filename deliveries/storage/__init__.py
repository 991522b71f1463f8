"""The storage interface: everything that differs between PostgreSQL and SQLite.

`backend()` returns the implementation of `Backend` for this database. It takes and returns typed rows (`rows`). Callers
decide what to claim, write or count; this package does it fast and safely. Both implementations must pass
`tests/deliveries/storage/test_conformance.py` and the files it names. The ORM, and SQL that works on both databases,
may be used anywhere.

Outside this package, only these check the database vendor:

- migrations, `integrations.config_version` (triggers) and `integrations.foundation.online_migrations`: they define the
  schema on the connection they are given, and belong to apps that must not import this one.
- `config.settings`, before there is a connection.

`tests/config/test_architecture.py` rejects any other.
"""

from deliveries.storage.backend import Backend, Waiter, backend

__all__ = ["Backend", "Waiter", "backend"]
