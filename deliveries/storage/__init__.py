"""The one seam between Hookdesk and its database.

`backend()` is PostgreSQL's half or SQLite's, of one interface (`Backend`): typed rows in (`rows`), typed rows out. What
is to be claimed, written or counted is decided above; how it is done fast and safely by this database, in here.
`tests/deliveries/storage/test_conformance.py` holds both halves to the same behaviour. SQL that is the same for both,
and the ORM, may stand anywhere.

Only these ask for the database's vendor elsewhere:

- migrations, `integrations.config_version` (triggers) and `integrations.foundation.online_migrations`: they write the
  schema, ask the connection that they are given, and belong to apps that must not know this one.
- `config.settings`, before there is a connection.

`tests/config/test_architecture.py` refuses others.
"""

from deliveries.storage.backend import Backend, Waiter, backend

__all__ = ["Backend", "Waiter", "backend"]
