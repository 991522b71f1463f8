"""A recording for the README, frame by frame: `TAKE_SCREENSHOTS=1`, with Pillow installed, writes an animated WebP."""

from __future__ import annotations

import io
import os
from typing import Any

from tests.e2e.desk.conftest import SHOTS

#: A caption across the bottom of the page, by the CSSOM: the policy allows no style in markup.
CAPTION = """
(text) => {
  let line = document.getElementById("caption");
  if (!line) { line = document.createElement("div"); line.id = "caption"; document.body.append(line); }
  Object.assign(line.style, { position: "fixed", left: 0, right: 0, bottom: 0, zIndex: 99, padding: "14px 24px",
    background: "#0b1f33", color: "#fff", font: "600 20px/28px system-ui, sans-serif", textAlign: "center" });
  line.textContent = text;
}
"""


class Recording:
    """Frames of one page. Without the wish for screenshots it takes none."""

    def __init__(self, page: Any, name: str) -> None:
        self._page = page
        self._name = name
        self._frames: list[tuple[bytes, float]] = []
        self._is_on = os.environ.get("TAKE_SCREENSHOTS") == "1"

    def show(self, caption: str, seconds: float = 5.0) -> None:
        """Keep what the page shows now, with the caption, for so many seconds."""
        if not self._is_on:
            return
        self._page.wait_for_timeout(250)
        self._page.evaluate(CAPTION, caption)
        self._frames.append((self._page.screenshot(), seconds))
        self._page.evaluate("() => document.getElementById('caption').remove()")

    def save(self) -> None:
        if not self._is_on:
            return
        from PIL import Image

        images = [Image.open(io.BytesIO(data)).convert("RGB") for data, _ in self._frames]
        images[0].save(
            SHOTS / f"{self._name}.webp",
            save_all=True,
            append_images=images[1:],
            duration=[int(seconds * 1000) for _, seconds in self._frames],
            loop=0,
            quality=72,
            method=6,
        )
