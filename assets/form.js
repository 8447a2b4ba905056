// The form of a new run: what is wrong stands at its field, arrows halve and double, Ctrl+Enter starts, and what was filled in
// outlives a reload and a change of language until it is started.
(() => {
  "use strict";
  const form = () => document.querySelector(".when-new"), DRAFT = "draft-train";
  const numbers = { ArrowUp: [2, 1], ArrowDown: [0.5, -1] };
  const entered = new Map();  // before the draft is back: field, what was typed into it; undefined where the judge has what was chosen
  const OF_METHOD = ["finetuning_type", "quantization_bit"];
  const RETURN_MS = 30_000;  // a draft that does not come back as it was keeps no other away for longer
  let touched = false, handed = false, turn = "", returning = null;

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

  function enter(element) {
    const field = element.closest("[data-setting]")?.dataset.setting ?? element.closest('[id^="train-"]')?.id.slice("train-".length);
    if (!field) return;
    const { type, value, checked } = element;
    if (type === "checkbox") entered.set(field, checked);
    else if (["number", "range"].includes(type) && value) entered.set(field, Number(value));
    else if (["text", "textarea"].includes(type) && !element.matches("[role=listbox]")) entered.set(field, value);
    else for (const one of field === "method" ? OF_METHOD : [field]) entered.set(one, undefined);
  }

  document.addEventListener("input", (event) => {
    if (!event.target.closest?.(".when-new")) return;
    if (event.isTrusted) enter(event.target);
    handed ||= Boolean(event.target.closest("#train-given, #train-begin-anew"));
    if (event.isTrusted || handed) touch();
    document.body.classList.add("unjudged");
    if (event.isTrusted && written(event.target)) localStorage.setItem(`draft-${written(event.target)}`, event.target.value);
  });

  // An answer of the judge has come: it is of what stands in the form now.
  function judged() {
    const now = document.querySelector("#train-cost [data-turn]")?.dataset.turn ?? "";
    if (now === turn) return;
    turn = now;
    document.body.classList.remove("unjudged");
    keep();
  }

  function keep() {
    const draft = document.querySelector("#train-draft textarea, #train-draft input")?.value;
    if (!touched || !(draft?.length > 2) || !isBack(JSON.parse(draft))) return;
    localStorage.setItem(DRAFT, draft);
  }

  // A choice may be judged before it is known that a person made it: what was judged last counts then too.
  function touch() {
    const isFirst = !touched;
    touched = true;
    if (isFirst && turn) keep();
  }

  // What was judged before the draft was back is of the form as it begins: it must not take the draft's place.
  function isBack(judged) {
    const isOther = ["stage", ...OF_METHOD].some((field) => entered.has(field));  // such a recipe has not the same fields
    const isSame = ([field, value]) => entered.has(field) || (isOther && !(field in judged)) || JSON.stringify(judged[field]) === JSON.stringify(value);
    if (returning && !Object.entries(returning).every(isSame)) return false;
    returning = null;
    return true;
  }

  function forget() {
    touched = false;
    for (const key of Object.keys(localStorage)) if (key.startsWith(DRAFT)) localStorage.removeItem(key);
  }

  function restore() {
    const draft = localStorage.getItem(DRAFT), now = document.querySelector("#train-draft textarea, #train-draft input")?.value;
    for (const box of form().querySelectorAll(".draft")) {
      const text = localStorage.getItem(`draft-${box.id}`);
      if (text !== null) window.studio.handOver(box.id, text);
    }
    if (handed || window.studio.onTheWay.has("train-given") || !draft || draft === now) return;
    const text = entered.size ? withEntered(draft, now) : draft;
    try { returning = JSON.parse(text); } catch { /* the studio says what is wrong with it */ }
    setTimeout(() => { if (returning) { returning = null; turn = ""; judged(); } }, RETURN_MS);
    window.studio.handOver("train-given", text);
  }

  // What was handed over meanwhile is newer than the draft as a whole; what was typed or chosen is newer field by field.
  function withEntered(draft, now) {
    try {
      const recipe = JSON.parse(draft), judged = JSON.parse(now || "{}");
      for (const [field, value] of entered) {
        if (field in recipe || field in judged) recipe[field] = value ?? judged[field];  // the search is no setting; JSON leaves out what is undefined
      }
      return JSON.stringify(recipe);
    } catch {
      return draft;  // the studio says what is wrong with it
    }
  }

  document.addEventListener("click", (event) => {
    if (event.target.closest('[data-pick="run:"]')) window.studio.handOver("train-opened", String(event.timeStamp));
    const item = event.target.closest("[data-forget], .when-new label, .when-new [role=option], .when-new button");
    if (item && "forget" in item.dataset) { forget(); location.reload(); }
    else if (item && event.isTrusted) { touch(); if (item.matches("[role=option]")) enter(item); }
  });

  document.addEventListener("DOMContentLoaded", () => {
    let ready = false, first = null;
    const look = () => {
      markWrong();
      const turn = document.querySelector("#train-cost [data-turn]")?.dataset.turn;
      if (ready) judged();
      else if (turn !== undefined && document.querySelector("#train-given textarea, #train-given input")) {
        // What was chosen meanwhile is in the next answer; of a list that was only opened there is none.
        if (first === null) { first = turn; setTimeout(() => { first = undefined; look(); }, 3000); }
        if (turn === first && !handed && [...entered.values()].includes(undefined)) return;
        ready = true;
        restore();
      }
    };
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
  });
  Object.assign(window.studio, { forget });
})();
