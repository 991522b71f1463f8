"""Takes notification_event with Python's standard library alone, and refuses what is not signed with the secret.

HUB_SECRET=HELLO PORT=4568 python intercom.py
"""

import hashlib
import hmac
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ["HUB_SECRET"].encode()  # the hub_secret that the subscription was made with


class Webhook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        expected = "sha256=" + hmac.new(SECRET, body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, self.headers.get("X-Hub-Signature-256", "")):
            self.answer(401, "The signature does not match.")
            return
        event = json.loads(body)
        print(event["topic"], event["id"] or "-", event["data"]["item"], flush=True)
        self.answer(200, "ok")

    def answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Only what is understood is printed."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "4568"))), Webhook).serve_forever()
