/* The live parts of the desk. Every page works without this file; with it, it refreshes itself, copies ids and
   obeys the keyboard. No framework, nothing inline. */
(function () {
  "use strict";
  const { said, counted, digits } = window.deskWords;
  const root = document;
  const all = (selector, within) => Array.from((within || root).querySelectorAll(selector));
  const announce = (text) => { const box = root.getElementById("announcer"); if (box) { box.textContent = text; } };

  /* --- A form that was kept while its sender confirmed the password ------------------------------------ */
  const kept = root.querySelector("form[data-resubmit]");
  if (kept) { HTMLFormElement.prototype.submit.call(kept); }

  /* --- The browser's time zone, for the times of the pages that follow -------------------------------------- */
  try {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (zone) { root.cookie = "hookdesk_zone=" + zone + "; path=/; max-age=31536000; samesite=lax" + (window.location.protocol === "https:" ? "; secure" : ""); }
  } catch (error) { /* the server's zone, then */ }

  /* --- Relative times ------------------------------------------------------------------------------ */
  const STEPS = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [5184000, 86400, "d"]];
  function relative(moment) {
    const seconds = (Date.now() - moment) / 1000, size = Math.abs(seconds);
    if (size < 1) { return said("now"); }
    for (const [limit, unit, name] of STEPS) {
      if (size < limit) { return said(seconds > 0 ? "before" : "after", Math.floor(size / unit), name); }
    }
    return null;
  }
  function freshen(within) {
    for (const time of all("time[data-relative]", within)) {
      const text = relative(Date.parse(time.dateTime));
      if (text && text !== time.textContent) { time.textContent = text; }
    }
  }
  setInterval(() => { if (!root.hidden) { freshen(); } }, 5000);

  /* --- Fragments that refresh themselves while the tab is visible ------------------------------------ */
  function replace(box, html) {
    if (box.dataset.last === html) { return; }
    box.dataset.last = html;
    const opened = new Set(all("details[data-key][open]", box).map((one) => one.dataset.key));
    const closed = new Set(all("details[data-key]:not([open])", box).map((one) => one.dataset.key));
    const before = box.dataset.announce ? box.textContent : "";
    box.innerHTML = html;
    // What a fragment says of other places of the page changes in the same moment.
    for (const part of all("template[data-into]", box)) {
      const place = root.getElementById(part.dataset.into);
      if (place) { place.replaceChildren(part.content.cloneNode(true)); }
    }
    for (const one of all("details[data-key]", box)) {
      if (opened.has(one.dataset.key)) { one.open = true; }
      if (closed.has(one.dataset.key)) { one.open = false; }
    }
    const spoken = box.querySelector("[data-announced]");
    if (spoken && before.indexOf(spoken.textContent) < 0) { announce(spoken.textContent); }
    box.dispatchEvent(new CustomEvent("desk:replaced", { bubbles: true }));
  }
  async function refresh(box) {
    const active = root.activeElement;
    const isBusy = active && active !== root.body && box.contains(active);
    const selected = root.getSelection && !root.getSelection().isCollapsed && box.contains(root.getSelection().anchorNode);
    if (root.hidden || isBusy || selected || !box.isConnected) { return true; }
    const answer = await fetch(box.dataset.live, { credentials: "same-origin", headers: { "X-Requested-With": "fetch" } });
    if (answer.redirected || answer.status === 403) { return false; }
    if (answer.ok) { replace(box, await answer.text()); }
    // What changes seldom from here on is asked for less often.
    box.dataset.every = answer.headers.get("X-Desk-Every") || box.dataset.every;
    return answer.headers.get("X-Desk-Over") !== "1";
  }
  function keepFresh(box) {
    const every = () => Number(box.dataset.every || 5) * 1000;
    const turn = async () => {
      let goesOn = true;
      try { goesOn = await refresh(box); } catch (error) { goesOn = true; }
      if (goesOn && box.isConnected) { setTimeout(turn, every()); }
    };
    setTimeout(turn, every());
  }
  all("[data-live]").forEach(keepFresh);

  /* --- Parts that are fetched when they are opened --------------------------------------------------- */
  root.addEventListener("toggle", async (event) => {
    const part = event.target;
    if (!(part instanceof HTMLDetailsElement) || !part.open || !part.dataset.src) { return; }
    const source = part.dataset.src, inside = part.querySelector(".inside");
    delete part.dataset.src;
    try {
      const answer = await fetch(source, { credentials: "same-origin" });
      if (answer.ok) { inside.innerHTML = await answer.text(); }
    } catch (error) { part.dataset.src = source; }
  }, true);

  /* --- Clicks: copying, menus, dialogs ----------------------------------------------------------------- */
  async function copy(button) {
    let text = button.dataset.copy;
    if (button.dataset.copyFrom) {
      // A link to the text, which is fetched only when somebody wants it.
      const answer = await fetch(button.href, { credentials: "same-origin" }).catch(() => null);
      if (!answer || !answer.ok) { window.location = button.href; return; }
      text = await answer.text();
    }
    const done = () => {
      button.classList.add("copied");
      announce(said("copied"));
      const label = button.classList.contains("button") || button.dataset.copyFrom ? button.textContent : null;
      if (label) { button.textContent = said("copied"); }
      setTimeout(() => { button.classList.remove("copied"); if (label) { button.textContent = label; } }, 1200);
    };
    if (navigator.clipboard && window.isSecureContext) { navigator.clipboard.writeText(text).then(done, () => {}); return; }
    const area = root.createElement("textarea");
    area.value = text;
    root.body.appendChild(area);
    area.select();
    try { if (root.execCommand("copy")) { done(); } } finally { area.remove(); }
  }
  root.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    if (!target) { return; }
    const copied = target.closest("[data-copy], [data-copy-from]");
    if (copied) { event.preventDefault(); copy(copied); return; }
    const opener = target.closest("[data-opens]");
    if (opener) { root.getElementById(opener.dataset.opens).showModal(); return; }
    for (const menu of all("details.menu[open]")) { if (!menu.contains(target)) { menu.open = false; } }
  });
  all("[data-opens]").forEach((opener) => { opener.hidden = false; });

  /* --- Forms ------------------------------------------------------------------------------------------ */
  root.addEventListener("change", (event) => {
    const field = event.target;
    if (field instanceof HTMLSelectElement && field.form && field.form.hasAttribute("data-submit-on-change")) {
      field.form.requestSubmit();
    }
  });
  root.addEventListener("submit", (event) => {
    // A second click must not send a second time. The form itself is refused twice by the server.
    const form = event.target;
    if (form.method === "post") {
      setTimeout(() => all("button, input[type=submit]", form).forEach((one) => { one.disabled = true; }), 0);
      setTimeout(() => all("button, input[type=submit]", form).forEach((one) => { one.disabled = false; }), 8000);
    }
  });
  window.addEventListener("pageshow", () => all("form[method=post] button").forEach((one) => { one.disabled = false; }));

  /* --- Selecting rows ----------------------------------------------------------------------------------- */
  for (const form of all("form[data-bulk]")) {
    const whole = form.querySelector("[data-check-all], #action-toggle"), count = form.querySelector("[data-selected]");
    const boxes = () => all("input[type=checkbox]:not([data-check-all]):not(#action-toggle):not(:disabled)", form);
    const quiet = count ? count.textContent : "";
    const update = () => {
      const chosen = boxes().filter((box) => box.checked);
      boxes().forEach((box) => { const row = box.closest("tr"); if (row) { row.classList.toggle("chosen", box.checked); } });
      if (whole) { whole.checked = chosen.length > 0 && chosen.length === boxes().length; whole.indeterminate = chosen.length > 0 && !whole.checked; }
      if (count) { count.textContent = chosen.length ? counted("selected", chosen.length) : quiet; }
      const total = form.querySelector("[data-total]");
      if (total) { total.textContent = counted("deliveries", chosen.length + Number(total.dataset.total)); }
    };
    if (whole) { whole.hidden = false; whole.addEventListener("change", () => { boxes().forEach((box) => { box.checked = whole.checked; }); update(); }); }
    form.addEventListener("change", update);
    update();
  }

  /* --- Long lists of ticks, filtered as one types ---------------------------------------------------------- */
  for (const list of all("div.check-list")) {
    const rows = all("label", list).filter((label) => label.querySelector("input"));
    if (rows.length < 12) { continue; }
    const filter = root.createElement("input");
    filter.type = "search";
    filter.placeholder = said("filter", rows.length);
    filter.className = "check-list-filter";
    filter.setAttribute("aria-label", said("filterLabel"));
    filter.addEventListener("input", () => {
      const wanted = filter.value.toLowerCase();
      rows.forEach((row) => { row.parentElement.hidden = !row.textContent.toLowerCase().includes(wanted); });
    });
    filter.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); } });
    list.before(filter);
  }

  /* --- A tick that makes it more of them, as the button says --------------------------------------------- */
  for (const form of new Set(all("input[data-adds]").map((tick) => tick.form))) {
    const sum = form.querySelector("[data-sum]"), typed = form.elements.confirmed, ticks = all("input[data-adds]", form);
    if (!sum) { continue; }
    const show = () => {
      const more = ticks.reduce((total, tick) => total + (tick.checked ? Number(tick.dataset.adds) : 0), 0);
      const number = Number(sum.dataset.sum) + more;
      sum.textContent = sum.dataset.noun ? counted("deliveries", number) : digits(number);
      if (typed && typed.type === "text") { typed.required = ticks.some((tick) => tick.checked); }
      const button = sum.closest("button");
      if (button) { button.disabled = number === 0; }
    };
    ticks.forEach((tick) => tick.addEventListener("change", show));
    show();
  }

  /* --- Only the fields of the chosen kind --------------------------------------------------------------- */
  for (const form of all("form[data-depends]")) {
    const show = () => {
      for (const part of all("[data-when]", form)) {
        const [name, values] = part.dataset.when.split("=");
        const field = form.elements[name];
        part.hidden = !field || !values.split("|").includes(field.value);
      }
    };
    form.addEventListener("change", show);
    show();
  }

  /* --- A preview that follows a form ---------------------------------------------------------------------- */
  for (const box of all("[data-preview-of]")) {
    const form = root.getElementById(box.dataset.previewOf);
    let timer = 0, turn = 0;
    const ask = async () => {
      const mine = ++turn;
      try {
        const answer = await fetch(box.dataset.previewUrl, { method: "POST", body: new FormData(form), credentials: "same-origin" });
        if (answer.ok && mine === turn) { box.innerHTML = await answer.text(); }
      } catch (error) { /* the last one stays */ }
    };
    form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, 400); });
    form.addEventListener("change", () => { clearTimeout(timer); timer = setTimeout(ask, 100); });
    /* Fields of the form that stand elsewhere on the page. */
    for (const field of form.elements) {
      if (!form.contains(field)) { field.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, 400); }); }
    }
    box.addEventListener("click", (event) => {
      const pick = event.target.closest("[data-pick]");
      if (pick) { form.elements.event.value = pick.dataset.pick; ask(); }
    });
    ask();
  }

  /* --- Keyboard ------------------------------------------------------------------------------------------- */
  let prefix = "";
  function rows() { return all("table[data-rows] tbody tr").filter((row) => row.querySelector("a.what, a")); }
  function move(step) {
    const found = rows();
    if (!found.length) { return false; }
    const now = found.findIndex((row) => row.contains(root.activeElement));
    const next = found[Math.max(0, Math.min(found.length - 1, now < 0 ? 0 : now + step))];
    (next.querySelector("a.what") || next.querySelector("a")).focus();
    return true;
  }
  /* What a key does to the row that has the focus: `data-key-e="/address"`. Without one, it goes to the first. */
  function onRow(key) {
    const name = "key" + key.toUpperCase();
    if (!rows().some((row) => row.dataset[name])) { return false; }
    const row = rows().find((one) => one.contains(root.activeElement));
    if (!row) { return move(1); }
    if (row.dataset[name]) { window.location = row.dataset[name]; }
    return true;
  }
  function press(key) {
    if (/^[er]$/.test(key) && root.activeElement.closest("table[data-rows] tr") && onRow(key)) { return true; }
    const hot = root.querySelector('[data-hotkey="' + CSS.escape(key) + '"]');
    if (hot) { hot.click(); return true; }
    if (/^[er]$/.test(key) && onRow(key)) { return true; }
    if (key === "j") { return move(1); }
    if (key === "k") { return move(-1); }
    if (key === "/") { const box = root.querySelector("[data-search], #searchbar"); if (box) { box.focus(); box.select(); return true; } window.location = all(".desk-nav a")[0].href; return true; }
    if (key === "?") { const help = root.getElementById("help"); if (help) { help.showModal(); return true; } }
    if (key === "x") { const row = root.activeElement.closest && root.activeElement.closest("tr"); const box = row && row.querySelector("input[type=checkbox]"); if (box) { box.click(); return true; } }
    return false;
  }
  root.addEventListener("keydown", (event) => {
    const target = event.target;
    if (event.key === "Escape") { all("details.menu[open]").forEach((menu) => { menu.open = false; menu.querySelector("summary").focus(); }); }
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.defaultPrevented) {
      // Sends the form with the button that says so, wherever the focus is; never behind an open dialog.
      const button = root.querySelector("button[data-ctrl-enter]:not(:disabled)");
      if (button && !root.querySelector("dialog[open]")) { event.preventDefault(); button.form.requestSubmit(button); }
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) { return; }
    if (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) && target.type !== "checkbox") { return; }
    if (root.querySelector("dialog[open]")) { return; }
    if (prefix === "g" && event.key === "d") { prefix = ""; root.querySelector("#site-name a").click(); return; }
    prefix = event.key === "g" ? "g" : "";
    if (press(event.key)) { event.preventDefault(); }
  });
})();
