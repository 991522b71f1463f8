"""The documentation as a site (`make docs`).

Sphinx reads the whole repository, so that links between pages hold as they stand there. No page loads anything from
elsewhere, and search works from a file as well as from a server.
"""

import shutil
from pathlib import Path
from typing import Any

project = "Hookdesk"
html_title = "Hookdesk"
html_theme = "furo"
html_favicon = "../templates/static/hookdesk/icon.svg"
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "CODE_OF_CONDUCT.md",
    "docs/*.md",
    "docs/adr/*.md",
    "docs/deployment/*.md",
    "docs/monitoring/*.md",
    "docs/operations/*.md",
]
include_patterns += ["tests/systems/programs/README.md"]
exclude_patterns = ["build", ".*", "templates"]
myst_heading_anchors = 3
# `$` in a shell command or in PostgreSQL's quotes is more than the highlighters know.
suppress_warnings = ["misc.highlighting_failure"]
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_use_index = False
html_theme_options = {"top_of_page_buttons": []}


def complete(app: Any, exception: Exception | None) -> None:
    """Images that pages name in HTML, and a first page at the top."""
    if exception is None:
        folder = Path(app.outdir)
        shutil.copytree(Path(app.srcdir, "docs", "screenshots"), folder / "docs" / "screenshots", dirs_exist_ok=True)
        first = '<!doctype html><meta http-equiv="refresh" content="0; url=docs/index.html"><title>Hookdesk</title>\n'
        (folder / "index.html").write_text(first)


def setup(app: Any) -> None:
    app.connect("build-finished", complete)
