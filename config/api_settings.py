"""Settings of Django REST framework and of drf-spectacular, which describes the API."""

from __future__ import annotations

from typing import Any

from integrations.foundation.version import VERSION


def rest_framework_settings() -> dict[str, Any]:
    return {
        "DEFAULT_AUTHENTICATION_CLASSES": ["integrations.api.authentication.StoreAuthentication"],
        "DEFAULT_PERMISSION_CLASSES": ["integrations.api.authentication.HasScope"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_PARSER_CLASSES": ["integrations.api.parsing.DocumentParser"],
        "DEFAULT_CONTENT_NEGOTIATION_CLASS": "integrations.api.parsing.JSONAlways",
        "DEFAULT_SCHEMA_CLASS": "integrations.api.openapi.APISchema",
        "EXCEPTION_HANDLER": "integrations.api.errors.error_list_handler",
        "UNAUTHENTICATED_USER": None,
        "DATETIME_FORMAT": "iso-8601",
        "COERCE_DECIMAL_TO_STRING": False,
        "TEST_REQUEST_DEFAULT_FORMAT": "json",
    }


def spectacular_settings() -> dict[str, Any]:
    return {
        "TITLE": "Hookdesk API",
        "DESCRIPTION": "Push objects and events, manage integrations and subscriptions, see and resolve deliveries.",
        "VERSION": VERSION,
        "SERVE_INCLUDE_SCHEMA": False,
        "SERVE_AUTHENTICATION": [],
        "SERVE_PERMISSIONS": [],
        "SCHEMA_PATH_PREFIX": "/api/v1/",
        # Cases and notifications share these two values; without an explicit name, a numbered one would be generated.
        "ENUM_NAME_OVERRIDES": {
            "OpenOrResolvedEnum": [("open", "open"), ("resolved", "resolved")],
            "KindEnum": "integrations.sources.SOURCE_KINDS",
            "ChannelKindEnum": "notifications.channels.CHANNEL_KINDS",
            "BulkActionEnum": "deliveries.api.bulk_bodies.ACTIONS",
            "LevelEnum": "notifications.models.Notification.Level",
        },
    }
