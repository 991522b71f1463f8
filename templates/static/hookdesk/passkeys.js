/* Passkeys: asks the browser for one and sends its answer with the form. Forms without it stay hidden. */
(function () {
  "use strict";
  const words = window.deskWords;
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  function readable(given) {
    const options = Object.assign({}, given.publicKey, { challenge: bytes(given.publicKey.challenge) });
    if (options.user) { options.user = Object.assign({}, options.user, { id: bytes(options.user.id) }); }
    for (const list of ["excludeCredentials", "allowCredentials"]) {
      if (options[list]) { options[list] = options[list].map((one) => Object.assign({}, one, { id: bytes(one.id) })); }
    }
    return { publicKey: options };
  }

  function written(credential) {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (credential.response[name]) { response[name] = text(credential.response[name]); }
    }
    if (credential.response.getTransports) { response.transports = credential.response.getTransports(); }
    return JSON.stringify({ id: credential.id, rawId: text(credential.rawId), type: credential.type, response: response,
      clientExtensionResults: credential.getClientExtensionResults() });
  }

  async function optionsOf(form) {
    if (form.dataset.options) { return JSON.parse(document.getElementById(form.dataset.options).textContent); }
    const answer = await fetch(form.action, { headers: { "Accept": "application/json", "X-Requested-With": "XMLHttpRequest" } });
    if (!answer.ok) { throw new Error(words.said("passkeyUnanswered")); }
    return answer.json();
  }

  async function ask(form) {
    const options = await optionsOf(form);
    const credential = form.dataset.passkey === "create"
      ? await navigator.credentials.create(readable(options.creation_options))
      : await navigator.credentials.get(readable(options.request_options));
    form.elements.credential.value = written(credential);
    HTMLFormElement.prototype.submit.call(form);
  }

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    if (!window.PublicKeyCredential) { continue; }
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const said = form.querySelector("[data-said]");
      said.textContent = "";
      ask(form).catch((error) => {
        const isCancelled = error.name === "NotAllowedError" || error.name === "AbortError";
        said.textContent = isCancelled ? words.said("passkeyCancelled")
          : error.name === "InvalidStateError" ? words.said("passkeyKnown") : error.message;
      });
    });
  }
})();
