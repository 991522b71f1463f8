"""A receiver that behaves like the SMS application of CenitHub's tutorial, but sends no SMS.

`POST /send_sms` with `{"request_id", "sms": {"from", "phone", "message"}}` returns 200 "SMS message sent" or, for an
invalid phone number, 500 "Unable to send SMS message. Error: …".
"""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: Sinatra's default port, as in the tutorial.
PORT = 9292
BODY_LIMIT = 10 * 1024 * 1024


class SmsHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "DemoSmsApp"

    def do_GET(self) -> None:
        self._answer(200, "text/html;charset=utf-8", b"Hello World")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self.path != "/send_sms" or not length.isdigit() or int(length) > BODY_LIMIT:
            self.close_connection = True
            self._answer(404, "text/plain", b"POST /send_sms\n")
            return
        status, document = send_sms(self.rfile.read(int(length)))
        self._answer(status, "application/json", json.dumps(document, separators=(",", ":")).encode() + b"\n")

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as in the base class
        """Silent: the demo reports what happens."""


def send_sms(body: bytes) -> tuple[int, dict[str, Any]]:
    """Return the status and document of the tutorial's application for this body."""
    try:
        payload = json.loads(body)
        sms, request_id = payload["sms"], payload["request_id"]
        phone = str(sms["phone"])
    except (ValueError, KeyError, TypeError):
        return 500, {"request_id": None, "summary": "Unable to send SMS message. Error: no sms in the request"}
    if re.fullmatch(r"0*", re.sub(r"\D", "", phone)):
        reason = f"The 'To' number {phone} is not a valid phone number."
        return 500, {"request_id": request_id, "summary": f"Unable to send SMS message. Error: {reason}"}
    return 200, {"request_id": request_id, "summary": "SMS message sent"}


def start_receiver(port: int) -> ThreadingHTTPServer:
    """Start it on 127.0.0.1 in a thread of its own; `.server_port` is its port."""
    server = ThreadingHTTPServer(("127.0.0.1", port), SmsHandler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="demo receiver", daemon=True).start()
    return server
