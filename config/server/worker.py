"""gunicorn's worker process around the event loop. gunicorn only starts, watches and stops the processes."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from contextlib import suppress
from typing import Any

import uvloop
from django.conf import settings
from gunicorn.workers.base import Worker

from config.observability.request_lines import RequestLines
from config.server.connections import Connections
from config.server.limits import limits_from_environment
from config.server.wsgi import Gateway
from integrations.foundation.frame_block import in_one_block

#: gunicorn's arbiter kills a worker that has not reported for `timeout` seconds.
_HEARTBEAT_SECONDS = 5.0
#: How often a stopping worker checks whether all requests have been answered.
_STOPPING_SECONDS = 0.02
#: How long a stopping worker waits for its last counts to be written.
_LAST_COUNTS_SECONDS = 3.0


def _write_counts(stopped: asyncio.Event) -> None:
    """Write the counts kept in memory every few seconds."""
    from deliveries.stats.pushes import FLUSH_SECONDS, flush_quietly

    while not stopped.is_set():
        time.sleep(FLUSH_SECONDS)
        flush_quietly()


class WebWorker(Worker):  # type: ignore[misc]
    def run(self) -> None:
        loop = uvloop.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            in_one_block(lambda: loop.run_until_complete(self._serve(loop)))
        finally:
            # Threads that are still waiting are daemons; they end with the process.
            loop.close()

    def init_signals(self) -> None:
        """Replace gunicorn's handlers, which sleep and exit; ours only set a flag. Keep SIGABRT, its last resort."""
        for signum in self.SIGNALS:
            signal.signal(signum, signal.SIG_DFL)
        signal.signal(signal.SIGABRT, self.handle_abort)
        signal.signal(signal.SIGWINCH, signal.SIG_IGN)

    async def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        # Imported late: gunicorn loads this module before Django, which the lanes need.
        from config.server.lanes import Lanes
        from deliveries.stats.pushes import flush_quietly

        stopped = asyncio.Event()
        quits = asyncio.Event()
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            loop.add_signal_handler(signum, self._on_signal, signum, stopped, quits)
        loop.add_signal_handler(signal.SIGUSR1, self.log.reopen_files)

        limits = limits_from_environment(settings.MAX_BODY_BYTES)
        lines = RequestLines() if settings.LOG_FORMAT == "json" else None
        connections = Connections(loop, limits, lambda r: lanes.admit(r), lines)
        host, port = self._address()
        gateway = Gateway(self.wsgi, connections, host=host, port=port)
        # SQLite has one writer at a time, and threads waiting for it would get their turn in random order.
        push_threads = 1 if settings.IS_SQLITE else None
        lanes = Lanes(gateway.respond, connections, threads=self.cfg.threads, push_threads=push_threads)
        connections.listen([listener.sock for listener in self.sockets])
        heartbeat = loop.create_task(self._report(stopped))
        counts = threading.Thread(target=_write_counts, args=(stopped,), name="counts", daemon=True)
        counts.start()
        await stopped.wait()
        connections.stop()
        until = loop.time() + self.cfg.graceful_timeout
        while not connections.is_quiet and not quits.is_set() and loop.time() < until:
            self.notify()
            await asyncio.sleep(_STOPPING_SECONDS)
        connections.abort()
        lanes.stop()
        with suppress(TimeoutError):  # if the database does not respond, the process ends all the same
            await asyncio.wait_for(asyncio.to_thread(flush_quietly), _LAST_COUNTS_SECONDS)
        heartbeat.cancel()
        # Let closed connections finish closing.
        await asyncio.sleep(0)

    def _on_signal(self, signum: int, stopped: asyncio.Event, quits: asyncio.Event) -> None:
        self.alive = False
        stopped.set()
        if signum != signal.SIGTERM:
            quits.set()

    def _address(self) -> tuple[str, int]:
        name: Any = self.sockets[0].sock.getsockname()
        return (name[0], name[1]) if isinstance(name, tuple) else ("localhost", 80)

    async def _report(self, stopped: asyncio.Event) -> None:
        while True:
            self.notify()
            if os.getppid() != self.ppid:
                self.log.warning("parent process is gone: stopping")
                stopped.set()
            await asyncio.sleep(_HEARTBEAT_SECONDS)
