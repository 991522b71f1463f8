/* The words of the other scripts, in the language of the page, which has them in a block of JSON. */
(function () {
  "use strict";
  const words = JSON.parse(document.getElementById("desk-words").textContent);
  const language = document.documentElement.lang || "en";
  const rules = new Intl.PluralRules(language);
  const digits = (number) => number.toLocaleString(language);
  const filled = (text, number) => text.replace("%(number)s", digits(number));

  window.deskWords = {
    digits,
    /* `said("copied")`, `said("filter", 14)`, `said("before", 4, "min")` */
    said: (name, number = 0, part = "") => filled(part ? words[name][part] : words[name], number),
    /* `counted("deliveries", 3)`: the plural form that the language has for the number. */
    counted: (name, number) => {
      const form = rules.select(number), forms = words[name];
      const found = forms.find(([sample]) => sample === number) || forms.find(([sample]) => rules.select(sample) === form);
      return filled((found || forms[forms.length - 1])[1], number);
    },
  };
})();
