/* The table step, live: what is filled in is previewed over all rows, and kept. Without this file a button does it. */
(function () {
  "use strict";
  const form = document.getElementById("table-form"), result = document.getElementById("table-result");
  if (!form || !result) { return; }
  let timer = 0, turn = 0, isSending = false;

  function refreshButton() {
    const words = result.querySelector("template[data-into-sendable]"), place = form.querySelector("[data-sendable]");
    if (!words || !place) { return; }
    place.textContent = words.content.textContent;
    document.getElementById("send").disabled = words.content.textContent.replace(/\D/g, "") === "0";
  }

  function put(html) {
    const active = document.activeElement, name = active && result.contains(active) ? active.name : "";
    const typed = name ? active.value : "", at = name && active.type === "text" ? active.selectionStart : null;
    result.innerHTML = html;
    refreshButton();
    const again = name ? form.elements[name] : null;
    if (!again || !again.focus) { return; }
    again.focus();
    // Whoever types on while the answer is on its way loses nothing.
    if (at !== null && again.type === "text") { if (typed !== again.value && again.dataset.sent !== typed) { again.value = typed; } again.setSelectionRange(at, at); }
  }

  async function ask() {
    const mine = ++turn, body = new FormData(form);
    body.delete("sheet");
    body.delete("pasted");
    result.classList.add("is-asking");
    try {
      const answer = await fetch(form.dataset.liveUrl, { method: "POST", body, credentials: "same-origin", headers: { "X-Requested-With": "fetch" } });
      if (mine === turn && answer.ok && !answer.redirected && !isSending) { put(await answer.text()); }
    } catch (error) { /* the last one stays; sending checks everything again */ }
    if (mine === turn) { result.classList.remove("is-asking"); }
  }
  const later = (wait) => { clearTimeout(timer); timer = setTimeout(ask, wait); };

  form.addEventListener("input", (event) => {
    const field = event.target, name = field.name || "";
    if (name.startsWith("rule-")) { later(300); }
  });
  form.addEventListener("change", (event) => {
    const name = event.target.name || "";
    if (name.startsWith("cell-") || name === "includes_unlike" || name === "updates_records") { later(50); }
    if (name === "place") { form.requestSubmit(form.querySelector("button[value=preview]")); }
  });
  form.addEventListener("submit", () => { isSending = true; clearTimeout(timer); });
  window.addEventListener("pageshow", () => { isSending = false; });

  // Enter in a cell goes on to the next, as in a spreadsheet; Ctrl+Enter sends.
  form.addEventListener("keydown", (event) => {
    const field = event.target;
    if (event.key !== "Enter") { return; }
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      const send = document.getElementById("send");
      if (!send.disabled) { form.requestSubmit(send); }
      return;
    }
    if (!(field instanceof HTMLInputElement) || field.type !== "text") { return; }
    event.preventDefault();
    if (!field.name.startsWith("cell-")) { later(0); return; }
    const cells = Array.from(form.querySelectorAll("input[name^=cell-]"));
    const next = cells[cells.indexOf(field) + (event.shiftKey ? -1 : 1)];
    if (next) { next.focus(); next.select(); } else { field.blur(); }
  });

  // Several lines pasted into a cell: this cell and those below, or by id.
  form.addEventListener("paste", (event) => {
    const field = event.target, text = event.clipboardData ? event.clipboardData.getData("text/plain") : "";
    if (!(field.name || "").startsWith("cell-") || !/[\t\n]/.test(text.trim())) { return; }
    event.preventDefault();
    const lines = text.replace(/\r\n?/g, "\n").replace(/\n$/, "").split("\n");
    if (lines.some((line) => line.includes("\t"))) {
      form.elements.pasted.value = text;
      form.requestSubmit(form.querySelector("button[value=paste]"));
      return;
    }
    const cells = Array.from(form.querySelectorAll("input[name^=cell-]")), start = cells.indexOf(field);
    lines.forEach((line, offset) => { if (cells[start + offset] && line !== "") { cells[start + offset].value = line; } });
    later(0);
  });
})();
