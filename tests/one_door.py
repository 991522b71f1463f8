"""Only `integrations/transport/` opens connections: whoever imports an HTTP client elsewhere is named."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
APPS = ("config", "integrations", "subscriptions", "deliveries", "notifications")
CLIENTS = {
    "requests",
    "urllib3",
    "pycurl",
    "httpx",
    "aiohttp",
    "http.client",
    "urllib.request",
    "socket",
    "ssl",
    "smtplib",
}
#: What may know of sockets for other reasons.
EXCEPTIONS = {
    "config/server/connections.py": {"socket"},  # accepts connections, opens none
    "config/server/tcp_ports.py": {"socket"},  # looks for a free port to listen on
    "config/demo/story.py": {"http.client"},  # the demo's own client, which pushes to itself
    "deliveries/runtime/registry.py": {"socket"},  # the name of the host
}


def offences(root: Path = ROOT) -> Iterator[str]:
    for path in sorted(path for app in APPS for path in (root / app).rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if name.startswith("integrations/transport/"):
            continue
        for line, module in _imports(ast.parse(path.read_text())):
            if module in CLIENTS - EXCEPTIONS.get(name, set()):
                yield f"{name}:{line} imports {module}; only integrations/transport may open connections"


def _imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            for known in CLIENTS:
                if name == known or name.startswith(f"{known}."):
                    yield node.lineno, known


if __name__ == "__main__":
    found = sorted(set(offences()))
    print("\n".join(found))
    sys.exit(1 if found else 0)
