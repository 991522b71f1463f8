"""What axe-core finds on a page, and whether the focus is seen.

`AXE` is axe-core as the package axe-playwright-python carries it (a development dependency; nothing of it is shipped).
"""

from __future__ import annotations

from typing import Any, Final

from axe_playwright_python.base import AXE_SCRIPT as AXE

#: WCAG 2.0 to 2.2, A and AA, and axe's best practices.
TAGS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
IMPACTS: Final = ("serious", "critical")

RUN = """
async (tags) => {
  // Without preloading: it would fetch the style sheets that others import, from the wrong folder. The size of targets
  // is off by default, as the rule is new; what a thumb cannot hit is no button.
  const { violations } = await axe.run(document, {
    resultTypes: ["violations"], preload: false, runOnly: tags, rules: { "target-size": { enabled: true } } });
  return violations.flatMap((found) => found.nodes.map((node) => [found.impact, found.id, node.html.slice(0, 160)]));
}
"""

#: Whether the focus ring of the element that has the focus can be seen.
RING = """
() => { const style = getComputedStyle(document.activeElement);
        return document.activeElement === document.body
          || (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none"
          || document.activeElement.matches("main"); }
"""


def violations(page: Any) -> list[str]:
    """The serious and critical findings of the page as it is now: `rule: element`."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    found = page.evaluate(RUN, TAGS)
    return [f"{rule}: {element}" for impact, rule, element in found if impact in IMPACTS]


def is_focus_seen(page: Any, steps: int = 25) -> bool:
    """Tabs through the page: is it always clear where one is?"""
    for _ in range(steps):
        page.keyboard.press("Tab")
        if not page.evaluate(RING):
            return False
    return True
