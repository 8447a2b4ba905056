// The form of a new run: what is wrong stands at its field, arrows halve and double, Ctrl+Enter starts, and what was filled in
// outlives a reload and a change of language until it is started.
(() => {
  "use strict";
  const form = () => document.querySelector(".when-new"), DRAFT = "draft-train";
  const numbers = { ArrowUp: [2, 1], ArrowDown: [0.5, -1] };
  let touched = false, turn = "";

  // What is wrong ----------------------------------------------------------------------------------------------------------
  function markWrong() {
    const told = new Map([...document.querySelectorAll("#train-problem [data-field], #train-advice [data-field]")].map((e) => [e.dataset.field, e.textContent.trim()]));
    const now = JSON.stringify([...told]);
    if (now === markWrong.last) return;
    markWrong.last = now;
    for (const one of document.querySelectorAll(".wrong")) { one.classList.remove("wrong"); delete one.dataset.wrong; }
    for (const [field, text] of told) {
      for (const one of document.querySelectorAll(`#train-${CSS.escape(field)}, .setting:has([data-setting="${CSS.escape(field)}"])`)) { one.classList.add("wrong"); one.dataset.wrong = text; }
    }
  }

  // Numbers ----------------------------------------------------------------------------------------------------------------
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "Enter" && event.target.closest?.(".when-new")) {
      event.preventDefault();
      document.querySelector("#train-start:not([disabled])")?.click();
    }
    const box = event.target.closest?.(".when-new .by-factors, .when-new .by-steps"), turns = numbers[event.key];
    if (!box || !turns || event.target.type !== "number") return;
    event.preventDefault();
    const value = Number(event.target.value) || 0, step = Number(event.target.step) || 1, whole = Number.isInteger(value) && box.classList.contains("by-factors") && value >= 1;
    const next = box.classList.contains("by-factors") && value > 0 ? value * turns[0] : value + turns[1] * step;
    window.studio.set(event.target, String(Number((whole ? Math.max(1, Math.floor(next)) : Math.max(0, next)).toPrecision(6))));
  });

  // Drafts -----------------------------------------------------------------------------------------------------------------
  const written = (element) => element.closest?.(".when-new .draft")?.id;

  document.addEventListener("input", (event) => {
    if (!event.target.closest?.(".when-new")) return;
    touched ||= event.isTrusted || Boolean(event.target.closest("#train-given, #train-begin-anew"));
    document.body.classList.add("unjudged");
    if (event.isTrusted && written(event.target)) localStorage.setItem(`draft-${written(event.target)}`, event.target.value);
  });

  // An answer of the judge has come: it is of what stands in the form now.
  function judged() {
    const now = document.querySelector("#train-cost [data-turn]")?.dataset.turn ?? "";
    if (now === turn) return;
    turn = now;
    document.body.classList.remove("unjudged");
    const draft = document.querySelector("#train-draft textarea, #train-draft input")?.value;
    if (touched && draft?.length > 2) localStorage.setItem(DRAFT, draft);
  }

  function forget() {
    touched = false;
    for (const key of Object.keys(localStorage)) if (key.startsWith(DRAFT)) localStorage.removeItem(key);
  }

  function restore() {
    const draft = localStorage.getItem(DRAFT);
    for (const box of form().querySelectorAll(".draft")) {
      const text = localStorage.getItem(`draft-${box.id}`);
      if (text !== null) window.studio.handOver(box.id, text);
    }
    // What was handed over meanwhile, or typed, is newer.
    if (!touched && draft && draft !== document.querySelector("#train-draft textarea, #train-draft input")?.value) window.studio.handOver("train-given", draft);
  }

  document.addEventListener("click", (event) => {
    if (event.target.closest('[data-pick="run:"]')) window.studio.handOver("train-opened", String(event.timeStamp));
    const item = event.target.closest("[data-forget], .when-new label, .when-new [role=option], .when-new button");
    if (item && "forget" in item.dataset) { forget(); location.reload(); }
    else if (item && event.isTrusted) touched = true;
  });

  document.addEventListener("DOMContentLoaded", () => {
    let ready = false;
    new MutationObserver(() => {
      markWrong();
      if (ready) judged();
      else if (document.querySelector("#train-given textarea, #train-given input") && document.querySelector("#train-cost [data-turn]")) { ready = true; restore(); }
    }).observe(document.body, { childList: true, subtree: true });
  });
  Object.assign(window.studio, { forget });
})();
