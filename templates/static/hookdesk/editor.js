/* Colours and checks JSON as it is typed. The text area itself stays the editor: a layer behind it shows the same
   text in colours, with line numbers and marks. Without this file there is a plain text area, and the server
   checks on sending. */
(function () {
  "use strict";
  const { said, counted } = window.deskWords;
  const LARGEST = 200000; // beyond so many characters colouring would lag behind the typing
  const TOKENS = /("(?:[^"\\\n]|\\.)*"?)|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(true|false|null)|([{}[\],:])|(\s+)|([^\s"{}[\],:]+)/g;
  const escapePart = (name) => name.replace(/~/g, "~0").replace(/\//g, "~1");

  /* The text as tokens with, for each value, its JSON Pointer: lenient, as the text is usually half written. */
  function tokens(text) {
    const found = [], stack = [];
    let key = null;
    const here = () => stack.map((level) => "/" + escapePart(String(level.isArray ? level.index : level.key))).join("");
    for (const match of text.matchAll(TOKENS)) {
      const [whole, string, number, word, mark] = match;
      const top = stack[stack.length - 1];
      if (string !== undefined) {
        const rest = text.slice(match.index + whole.length, match.index + whole.length + 40);
        if (top && !top.isArray && /^\s*:/.test(rest)) {
          try { key = JSON.parse(string); } catch (error) { key = string; }
          top.key = key;
          found.push(["key", whole, null]);
        } else { found.push(["string", whole, here()]); }
      } else if (number !== undefined) { found.push(["numeral", whole, here()]);
      } else if (word !== undefined) { found.push(["word", whole, here()]);
      } else if (mark !== undefined) {
        found.push(["mark", whole, mark === "{" || mark === "[" ? here() : null]);
        if (mark === "{" || mark === "[") { stack.push({ isArray: mark === "[", index: 0, key: "" }); }
        if (mark === "}" || mark === "]") { stack.pop(); }
        if (mark === "," && top && top.isArray) { top.index += 1; }
      } else { found.push(["", whole, null]); }
    }
    return found;
  }

  function lines(text, suspects, broken) {
    const out = [];
    let line = null;
    const open = () => { line = document.createElement("span"); line.className = "line"; line.dataset.line = out.length + 1; out.push(line); };
    open();
    for (const [kind, whole, pointer] of tokens(text)) {
      whole.split("\n").forEach((part, index) => {
        if (index) { open(); }
        if (!part) { return; }
        const span = kind && kind !== "mark" ? document.createElement("span") : null;
        if (span) { span.className = kind; span.textContent = part; line.appendChild(span); } else { line.appendChild(document.createTextNode(part)); }
        if (pointer !== null && pointer !== "" && suspects.has(pointer)) { line.classList.add("suspect"); }
        if (pointer !== null && broken.has(pointer)) { line.classList.add("broken"); }
      });
    }
    return out;
  }

  /* "… at line 3, column 5.", in whatever language. */
  function syntaxLine(messages) {
    for (const message of messages) { const match = /(\d+)\D+\d+\D*$/.exec(message); if (match) { return Number(match[1]); } }
    return 0;
  }

  function start(box) {
    const area = box.querySelector("textarea"), form = area.form, report = document.getElementById("check");
    const suspects = new Set((box.dataset.suspects || "").split(" ").filter(Boolean));
    const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
    const layer = document.createElement("pre");
    let broken = new Set(), badLine = 0, timer = 0, turn = 0;
    layer.setAttribute("aria-hidden", "true");

    function paint() {
      if (area.value.length > LARGEST) { box.classList.remove("live"); layer.hidden = true; return; }
      box.classList.add("live");
      layer.hidden = false;
      const drawn = lines(area.value, suspects, broken);
      if (badLine && drawn[badLine - 1]) { drawn[badLine - 1].classList.add("broken"); }
      layer.replaceChildren(...drawn);
      // The area is as high as its text, so that the two never scroll apart. The page scrolls.
      area.style.height = "auto";
      area.style.height = Math.max(area.scrollHeight, 360) + "px";
    }

    function tell(problems) {
      const rows = problems.map((problem) => {
        const row = document.createElement("li");
        if (problem.path) { const code = document.createElement("code"); code.textContent = problem.path; row.append(code, ": "); }
        row.append(problem.message);
        return row;
      });
      const title = document.createElement("p");
      title.className = problems.length ? "text-bad" : "text-good";
      title.textContent = problems.length ? "✕ " + counted("problems", problems.length) : "● " + said("noProblems");
      const list = document.createElement("ul");
      list.append(...rows);
      report.replaceChildren(title, list);
    }

    async function check() {
      const mine = ++turn, body = new FormData();
      body.append("csrfmiddlewaretoken", token);
      body.append("payload", area.value);
      try {
        const answer = await fetch(box.dataset.check, { method: "POST", body, credentials: "same-origin" });
        if (!answer.ok || mine !== turn) { return; }
        const problems = (await answer.json()).problems;
        broken = new Set(problems.map((problem) => problem.pointer).filter(Boolean));
        badLine = syntaxLine(problems.filter((problem) => !problem.pointer).map((problem) => problem.message));
        tell(problems);
        paint();
      } catch (error) { /* the server checks again when it is sent */ }
    }

    box.insertBefore(layer, area);
    area.addEventListener("input", () => { badLine = 0; paint(); clearTimeout(timer); timer = setTimeout(check, 300); });
    area.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
        const before = area.value.slice(0, area.selectionStart);
        const indent = /[ \t]*/.exec(before.slice(before.lastIndexOf("\n") + 1))[0] + (/[{[]\s*$/.test(before) ? "  " : "");
        if (indent) { event.preventDefault(); document.execCommand("insertText", false, "\n" + indent); }
      }
    });
    window.addEventListener("resize", paint);
    paint();
    check();
    // The first suspicious field is where the work is.
    const first = layer.querySelector(".suspect");
    if (first) {
      const at = area.value.split("\n").slice(0, Number(first.dataset.line) - 1).join("\n").length + 1;
      const length = first.textContent.length, value = /"[^"]*"(?=,?$)/.exec(first.textContent);
      const from = at + (value ? value.index + 1 : 0), to = at + (value ? value.index + value[0].length - 1 : length);
      area.focus({ preventScroll: true });
      area.setSelectionRange(from, to);
      first.scrollIntoView({ block: "nearest" });
    } else {
      area.focus({ preventScroll: true });
      area.setSelectionRange(0, 0);
    }
  }
  document.querySelectorAll("[data-editor]").forEach(start);
})();
