"""gunicorn's main process, started from Python instead of its command line."""

from __future__ import annotations

from typing import Any

from gunicorn.app.base import BaseApplication


class _Server(BaseApplication):  # type: ignore[misc]
    def load_config(self) -> None:
        from config.server import gunicorn_settings

        for name, value in vars(gunicorn_settings).items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Any:
        from config.wsgi import application

        return application


def serve() -> None:
    """Run until SIGTERM, like `gunicorn --config python:config.server.gunicorn_settings config.wsgi`."""
    _Server().run()
