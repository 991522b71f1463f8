"""The accessibility rules that can be checked by looking at a page: what axe calls serious, written down here.

axe-core itself is no Python package that could be depended on. `problems(page)` names every element that breaks
one of: a name for each control and image, one h1 and no skipped heading level, landmarks, a language and a title,
unique ids, text contrast of 4.5 (3 for large text), table headers, focus that is seen.
"""

from __future__ import annotations

from typing import Any

RULES = r"""
() => {
  const found = [];
  const all = (selector) => Array.from(document.querySelectorAll(selector));
  const isShown = (one) => one.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });
  const say = (rule, one) => found.push(rule + ": " + one.outerHTML.slice(0, 140));

  if (!document.title) { found.push("no title"); }
  if (!document.documentElement.lang) { found.push("no language"); }
  if (all("main").length !== 1) { found.push("not one main landmark"); }
  if (!document.querySelector("header") || !document.querySelector("nav[aria-label]")) { found.push("landmarks are missing"); }

  const headings = all("h1, h2, h3, h4").filter((one) => isShown(one) && !one.closest("dialog"));
  if (headings.filter((one) => one.tagName === "H1").length !== 1) { found.push("not one h1: " + headings.map((one) => one.tagName)); }
  let level = 0;
  for (const one of headings) {
    const now = Number(one.tagName[1]);
    if (now > level + 1 && level > 0) { say("heading level is skipped", one); }
    level = now;
  }

  const nameOf = (one) => {
    const by = (one.getAttribute("aria-labelledby") || "").split(" ").map((id) => document.getElementById(id)).filter(Boolean);
    return (one.getAttribute("aria-label") || by.map((each) => each.textContent).join(" ")
      || Array.from(one.labels || []).map((each) => each.textContent).join(" ")
      || one.textContent.trim() || Array.from(one.querySelectorAll("img")).map((each) => each.alt).join(" ")
      || one.value || one.alt || one.title || "").toString().trim();
  };
  for (const one of all("a[href], button, summary, [role=button]")) { if (isShown(one) && !nameOf(one)) { say("no name", one); } }
  for (const one of all("input:not([type=hidden]):not([type=submit]), select, textarea")) {
    const named = one.getAttribute("aria-label") || one.getAttribute("aria-labelledby") || (one.labels || []).length;
    if (isShown(one) && !named) { say("no label", one); }
  }
  for (const one of all("svg[role=img], img")) { if (!one.getAttribute("aria-label") && one.alt === undefined) { say("no text", one); } }
  for (const one of all("progress")) { if (!nameOf(one)) { say("no name", one); } }
  for (const one of all("table.ledger")) { if (one.querySelector("thead") && one.querySelectorAll("thead th").length === 0) { say("no headers", one); } }
  const ids = {};
  for (const one of all("[id]")) { if (ids[one.id]) { say("id twice", one); } ids[one.id] = true; }
  for (const one of all("[aria-describedby], [aria-labelledby]")) {
    const wanted = (one.getAttribute("aria-describedby") || "") + " " + (one.getAttribute("aria-labelledby") || "");
    for (const id of wanted.split(" ").filter(Boolean)) { if (!document.getElementById(id)) { say("points to nothing: " + id, one); } }
  }

  const channel = (value) => { value /= 255; return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4; };
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const rgba = (text) => (text.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const over = (top, under) => { const a = top[3] === undefined ? 1 : top[3]; return [0, 1, 2].map((i) => top[i] * a + under[i] * (1 - a)); };
  const backOf = (one) => {
    const layers = [];
    for (let each = one; each; each = each.parentElement) {
      const color = rgba(getComputedStyle(each).backgroundColor);
      layers.push(color);
      if (color[3] === undefined || color[3] === 1) { break; }
    }
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
  };
  const seen = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || seen.has(one) || !isShown(one)) { continue; }
    seen.add(one);
    if (one.closest(".visually-hidden, option, .editor textarea, [disabled], .base-svgs, script, style, .skip-to-content-link")) { continue; }
    const style = getComputedStyle(one), back = backOf(one), front = over(rgba(style.color), back);
    const [high, low] = [light(front), light(back)].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize), isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < (isLarge ? 3 : 4.5)) { say("contrast " + contrast.toFixed(2), one); }
  }
  return found;
}
"""

#: Whether the focus ring of the element that has the focus can be seen.
RING = """
() => { const style = getComputedStyle(document.activeElement);
        return document.activeElement === document.body
          || (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none"
          || document.activeElement.matches("main"); }
"""


def problems(page: Any) -> list[str]:
    found: list[str] = page.evaluate(RULES)
    return found


def is_focus_seen(page: Any, steps: int = 25) -> bool:
    """Tabs through the page: is it always clear where one is?"""
    for _ in range(steps):
        page.keyboard.press("Tab")
        if not page.evaluate(RING):
            return False
    return True
