"""What can be done with integrations and tokens: the same functions for the API, the admin and commands."""

from integrations.endpoint import endpoint_of
from integrations.parameters import mask_parameters, save_parameters
from integrations.services.changes import (
    create_integration,
    delete_integration,
    disable_integration,
    enable_integration,
    update_integration,
)
from integrations.services.secrets import ROTATION_OVERLAP, rotate_secret
from integrations.services.source_values import SourceValues
from integrations.services.sources import (
    create_source,
    delete_source,
    rotate_address,
    rotate_source_secret,
    update_source,
)
from integrations.services.tokens import issue_token, people_behind, withdraw_token
from integrations.services.values import IntegrationValues

__all__ = [
    "ROTATION_OVERLAP",
    "IntegrationValues",
    "SourceValues",
    "create_integration",
    "create_source",
    "delete_integration",
    "delete_source",
    "disable_integration",
    "enable_integration",
    "endpoint_of",
    "issue_token",
    "mask_parameters",
    "people_behind",
    "rotate_address",
    "rotate_secret",
    "rotate_source_secret",
    "save_parameters",
    "update_integration",
    "update_source",
    "withdraw_token",
]
