"""gunicorn's threaded worker, whose threads are for requests and not for connections."""

from __future__ import annotations

import select
from typing import Any

from gunicorn.workers.gthread import _DEFER, ThreadWorker  # type: ignore[import-untyped]

#: A connection that says nothing for so many seconds gives its thread back. gunicorn waits for five, so that a few
#: that browsers and clients open in advance would keep everybody waiting.
SILENCE = 0.01
#: After an answer, its thread waits so many milliseconds for the next request of the connection. Most clients that
#: push in a row send it at once, and handing it over between threads costs a tenth of a push. All threads together
#: cannot wait so long that others miss them: the processor is busy before.
NEXT_REQUEST = 2


class WebWorker(ThreadWorker):  # type: ignore[misc]
    def handle(self, conn: Any) -> Any:
        if not conn.initialized and not conn.data_ready and not conn.wait_for_data(SILENCE):
            return _DEFER
        while True:
            is_kept = super().handle(conn)
            if is_kept is not True or not self.alive or not _has_more(conn):
                return is_kept


def _has_more(conn: Any) -> bool:
    """The next request is on its way in. What has been read of it already is for gunicorn to find."""
    if conn.parser.unreader.buf.getvalue():
        return False
    poll = select.poll()
    poll.register(conn.sock, select.POLLIN)
    return bool(poll.poll(NEXT_REQUEST))
