// A question before something is done, or for one more value: a dialog of the page, which Esc, Cancel and a click beside it close;
// and, in another, what the keyboard does.
(() => {
  "use strict";
  const ready = new Map();

  // They are drawn with the sidebar and moved out of it once: what is hidden with the sidebar could not be shown.
  function dialog(id) {
    if (ready.has(id)) return ready.get(id);
    const box = document.body.appendChild(document.getElementById(id));
    box.addEventListener("click", (event) => { if (event.target === box) box.close("cancel"); });
    box.addEventListener("cancel", () => { box.returnValue = "cancel"; });
    // A modal dialog keeps the focus off the page, and lets it go to the browser, from where Enter does nothing here.
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Tab") return;
      event.preventDefault();
      const stops = [...box.querySelectorAll("input:not([hidden]), button, a[href]")];
      const next = stops.indexOf(document.activeElement) + (event.shiftKey ? -1 : 1);
      stops.at(next % stops.length)?.focus();
    });
    ready.set(id, box);
    return box;
  }

  /**
   * Ask, and give what was typed ("" where nothing is to be typed), or null where the person thought better of it.
   * `now` is what stands in the box, none for a question of yes or no; `label` is the word of the button that agrees.
   */
  function ask({ question, now, label, isDanger }) {
    const box = dialog("ask"), field = box.querySelector("input"), yes = box.querySelector("[value=yes]");
    box.querySelector("#ask-question").textContent = question;
    field.hidden = now === undefined;
    field.value = now ?? "";
    yes.textContent = label;
    yes.className = isDanger ? "button danger" : "button primary";
    box.returnValue = "cancel";
    return new Promise((answer) => {
      box.addEventListener("close", () => answer(box.returnValue === "yes" ? field.value : null), { once: true });
      box.showModal();
      if (!field.hidden) field.select();
      else if (isDanger) box.querySelector("[value=cancel]").focus();
      else yes.focus();
    });
  }

  const isTyping = (element) => element.matches("input, textarea, select, [contenteditable=true]");

  document.addEventListener("keydown", (event) => {
    if (event.key !== "?" || isTyping(event.target) || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    dialog("shortcuts").showModal();
  });
  document.addEventListener("click", (event) => { if (event.target.closest("[data-switch=shortcuts]")) dialog("shortcuts").showModal(); });

  Object.assign(window.studio, { ask });
})();
