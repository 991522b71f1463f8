"""gunicorn's settings: `gunicorn --config python:config.server.gunicorn_settings config.wsgi`.

gunicorn owns the listening socket and the processes; in each, `config.server.worker` owns the connections.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

from deliveries.runtime.gc_tuning import freeze_and_tune_gc
from deliveries.runtime.parent_death import die_with_supervisor
from deliveries.runtime.process_name import name_process

die_with_supervisor()
# WhiteNoise serves the apps' own folders (WHITENOISE_USE_FINDERS), so there is no collected directory.
warnings.filterwarnings("ignore", message="No directory at")

bind = os.environ.get("WEB_BIND", "127.0.0.1:8000")
worker_class = "config.server.worker.WebWorker"
workers = int(os.environ.get("WEB_WORKERS", "2"))
threads = int(os.environ.get("WEB_THREADS", "8"))
preload_app = True
timeout = 60
# Seconds that running requests get on shutdown.
graceful_timeout = 10
backlog = 1024
accesslog = None
loglevel = "warning"
proc_name = "hookdesk"
logger_class = "config.server.gunicorn_log.GunicornLogger"
# Unused, and (since gunicorn 25) it would run a thread in a process that forks.
control_socket_disable = True
if Path("/dev/shm").is_dir():  # noqa: S108 - gunicorn's advice: heartbeat files must not wait for a disk
    worker_tmp_dir = "/dev/shm"  # noqa: S108


def post_fork(server: Any, worker: Any) -> None:
    name_process("web")


def when_ready(server: Any) -> None:
    """Import every view before the workers fork, so that no first request waits for it and memory is shared."""
    from django.urls import get_resolver

    assert get_resolver().url_patterns
    freeze_and_tune_gc()
