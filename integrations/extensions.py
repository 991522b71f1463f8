"""Wire formats, connectors and kinds of source that installed packages bring (docs/extending.md)."""

from __future__ import annotations

from typing import Any

from integrations.connectors import CONNECTORS, Connector
from integrations.connectors.base import Parameter
from integrations.foundation.extensions import ExtensionError, bring, register
from integrations.retry import parse_policy
from integrations.services.values import TIMEOUT_LIMIT, IntegrationValues
from integrations.sources import SOURCE_KINDS
from integrations.sources.base import SourceKind
from integrations.wire_formats import WIRE_FORMATS
from integrations.wire_formats.base import WireFormat

#: Characters of a name: what the columns of integrations and sources hold.
FORMAT_NAME, CONNECTOR_NAME, KIND_NAME = 20, 30, 30


def load_extensions() -> None:
    """Add them to the registries. Formats and connectors share their names: the desk's cards have one list of them."""
    register("wire_formats", WIRE_FORMATS, accept_wire_format, longest=FORMAT_NAME, also_taken=CONNECTORS)
    register("connectors", CONNECTORS, accept_connector, longest=CONNECTOR_NAME, also_taken=WIRE_FORMATS)
    register("sources", SOURCE_KINDS, accept_source, longest=KIND_NAME)


def accept_wire_format(name: str, found: Any) -> WireFormat:
    """Raises ExtensionError."""
    made: WireFormat = bring(found, WireFormat, ("build", "read"))
    if unknown := sorted(set(made.form_fields) - set(IntegrationValues.__annotations__)):
        raise ExtensionError(f"form_fields has {unknown[0]!r}, which integrations do not have.")
    try:
        parse_policy(made.default_retry_policy)
    except ValueError as error:
        raise ExtensionError(f"default_retry_policy: {error}") from None
    if not 0 < made.default_timeout <= TIMEOUT_LIMIT:
        raise ExtensionError(f"default_timeout is more than 0 and at most {TIMEOUT_LIMIT} seconds.")
    made.name = name
    return made


def accept_connector(name: str, found: Any) -> Connector:
    """Raises ExtensionError."""
    made: Any = bring(found, Connector, ("build", "read"))
    parameters = getattr(made, "parameters", None)
    if not isinstance(parameters, tuple) or not all(isinstance(each, Parameter) for each in parameters):
        raise ExtensionError("parameters is a tuple of Parameter: what the connector's form asks for.")
    accept_wire_format(name, made)
    connector: Connector = made
    return connector


def accept_source(name: str, found: Any) -> SourceKind:
    """Raises ExtensionError."""
    made: SourceKind = bring(found, SourceKind, ("verify", "read", "sample"))
    if not isinstance(getattr(made, "setup", None), str):
        raise ExtensionError(f"{type(made).__name__} has no setup: what to do at the vendor.")
    made.name = name
    return made
