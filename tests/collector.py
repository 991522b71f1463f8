"""Takes what is exported over HTTP, as a collector of traces or of errors would."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Collector:
    """`with Collector() as collector`: `collector.taken` are the paths and bodies, decompressed."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes]] = []
        taken = self.taken

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                taken.append((self.path, body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Collector:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def everything(self) -> bytes:
        return b"\n".join(body for _, body in self.taken)

    def spans(self) -> Iterator[Any]:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        for path, body in self.taken:
            if path == "/v1/traces":
                for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scope in of_resource.scope_spans:
                        yield from scope.spans

    def metrics(self) -> Iterator[Any]:
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

        for path, body in self.taken:
            if path == "/v1/metrics":
                for of_resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                    for scope in of_resource.scope_metrics:
                        yield from scope.metrics


def attributes_of(thing: Any) -> dict[str, Any]:
    """Of a span or a data point."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in thing.attributes}
