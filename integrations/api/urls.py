"""Paths below `/api/v1/` that belong to integrations."""

from integrations.api import exports, openapi, retention, sources, turn, views  # noqa: F401 - openapi registers how credentials are described
from integrations.api.routes import both

urlpatterns = [
    *(
        entry
        for name, view in exports.VIEWS.items()
        for entry in both(f"exports/{name}", view.as_view(), f"export-{name}")
    ),
    *both("integrations", views.IntegrationsView.as_view(), "integrations"),
    *both("integrations/<slug:slug>", views.IntegrationView.as_view(), "integration"),
    *both("integrations/<slug:slug>/rotate_secret", views.RotateSecretView.as_view(), "rotate-secret"),
    *both("integrations/<slug:slug>/handshake", turn.HandshakeView.as_view(), "handshake"),
    *both("integrations/<slug:slug>/context", turn.ContextView.as_view(), "turn-context"),
    *both("integrations/<slug:slug>/actions/<str:code>", turn.ActionView.as_view(), "turn-action"),
    *both("retention", retention.RetentionView.as_view(), "retention"),
    *both("sources", sources.SourcesView.as_view(), "sources"),
    *both("sources/<slug:slug>", sources.SourceView.as_view(), "source"),
    *both("sources/<slug:slug>/rotate_address", sources.RotateAddressView.as_view(), "rotate-source-address"),
    *both("sources/<slug:slug>/rotate_secret", sources.RotateSourceSecretView.as_view(), "rotate-source-secret"),
    *both("tokens", views.TokensView.as_view(), "tokens"),
    *both("tokens/current", views.CurrentTokenView.as_view(), "current-token"),
    *both("tokens/<str:token_id>", views.TokenView.as_view(), "token"),
]
