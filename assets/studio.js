// What a person does on the page: what is in hand (the run chosen), actions of drawn buttons and forms, language, light and dark, shortcuts.
(() => {
  "use strict";
  const { root, call, refresh, toast } = window.studio;

  // What is in hand ----------------------------------------------------------------------------------------------------------
  const hand = { run: null }, linked = new Set();  // linked: kinds that an address named, which stay as it says
  for (const key of Object.keys(localStorage)) if (key.startsWith("studio-") && key !== "studio-theme") hand[key.slice(7)] = localStorage.getItem(key);

  // What another one takes out of hand; a form that is open (FORMS), only where the person went to the other one.
  const BELOW = { dataset: ["data"], evaluation: ["answers", "metric", "beside"], run: ["view"] }, FORMS = ["data", "view"];

  function pick(kind, value, byPerson = true) {
    take(kind, value);
    for (const one of BELOW[kind] ?? []) if (byPerson || !FORMS.includes(one)) take(one, null);
    window.studio.moved(byPerson);
    taken();
  }

  function take(kind, value, byAddress = false) {
    linked[byAddress ? "add" : "delete"](kind);
    if (value === null) { delete hand[kind]; localStorage.removeItem(`studio-${kind}`); }
    else { hand[kind] = value; localStorage.setItem(`studio-${kind}`, value); }
  }

  function taken() {
    for (const list of document.querySelectorAll("[data-first]")) if (hand[list.dataset.first] == null) chooseFirst(list, list.dataset.first);
    follow();
    markPicked();
    refresh();
  }

  function follow() {
    document.body.dataset.train = hand.view ?? (hand.run ? "run" : "new");
    document.body.dataset.part = hand.part ??= "curves";
    document.body.dataset.models = hand.models ??= "disk";
    document.body.dataset.data = hand.data || "set";
    document.body.dataset.section = hand.section ??= "rows";
    document.body.dataset.evaluate = hand.evaluation ? "one" : "new";
    document.body.dataset.export = hand.export ? "one" : "new";
    document.body.dataset.making = hand.making ??= "merge";
    document.body.dataset.exported = hand.exported ??= "record";
    document.body.dataset.deploy = hand.deployment ? "one" : "new";
    document.body.dataset.serving = hand.serving ??= "engines";
    document.body.dataset.loadTest = hand["load-test"] ? "one" : "new";
    document.body.dataset.report = hand.report ??= "summary";
    document.body.dataset.talk = hand.talk ??= "talk";
    for (const element of document.querySelectorAll("[data-follows]")) {
      const value = element.dataset.follows.split(" ").map((kind) => hand[kind] ?? "").join("\n");
      if (element.dataset.arg === value) continue;
      element.dataset.arg = value;
      if ("live" in element.dataset) element.ariaBusy = "true";  // until what it shows is of that (live.js)
    }
  }

  const shown = {};  // of each kind, what was last brought into sight in its list

  function markPicked() {
    markTicked();
    for (const item of document.querySelectorAll("[data-pick]")) {
      const [kind, value] = split(item.dataset.pick), isPicked = hand[kind] === value && !(kind === "run" && hand.view);
      item.setAttribute("aria-current", String(isPicked));
      if (isPicked && shown[kind] !== value) bringIntoSight(item, kind, value);
    }
  }

  // Only its list scrolls, never the page: on a narrow screen the list stands above what the person reads.
  function bringIntoSight(item, kind, value) {
    const list = item.closest(".split-list [data-live]");
    if (!list?.offsetParent) return;
    shown[kind] = value;
    const at = item.getBoundingClientRect(), frame = list.getBoundingClientRect();
    list.scrollTop += Math.max(0, at.bottom - frame.bottom) + Math.min(0, at.top - frame.top);
  }

  // Runs ticked for a comparison: their names are in hand as `compare`, joined by bars.
  const ticked = () => (hand.compare ?? "").split("|").filter(Boolean);

  function markTicked() {
    document.body.classList.toggle("some-ticked", ticked().length > 0);
    for (const box of document.querySelectorAll("[data-tick]")) box.checked = ticked().includes(box.dataset.tick);
  }

  document.addEventListener("change", (event) => {
    const name = event.target.dataset?.tick;
    if (!name) return;
    const others = ticked().filter((one) => one !== name);
    pick("compare", (event.target.checked ? [...others, name] : others).join("|"), false);
  });

  function chooseFirst(list, kind) {
    const picks = [...list.querySelectorAll("[data-pick]")].map((e) => split(e.dataset.pick));
    const names = picks.filter(([one, name]) => one === kind && name).map(([, name]) => name);
    const now = hand[kind] ?? null;
    if (names.includes(now)) linked.delete(kind);
    else if (now === null && names.length) pick(kind, names[0], false);
    else if (now && !linked.has(kind)) pick(kind, names[0] ?? "", false);
  }

  // A field that leads to a place ("page:offset"): the place it was drawn in, with its value put in, is taken in hand.
  document.addEventListener("change", (event) => {
    const { place, base, less } = event.target.dataset ?? {};
    if (!place) return;
    const [kind, name] = split(place), where = new URLSearchParams(base), value = event.target.type === "checkbox" ? (event.target.checked ? "1" : "") : event.target.value;
    where.set(name, value && less ? value - less : value);
    pick(kind, where.toString());
  });

  // What is typed into a search box is in hand too, but not kept; the lists that follow it are drawn anew.
  document.addEventListener("input", (event) => {
    const kind = event.target.dataset?.hand;
    if (!kind) return;
    hand[kind] = event.target.value;
    follow();
    clearTimeout(refresh.soon);
    refresh.soon = setTimeout(refresh, 150);
  });

  // What is written at an element. A field of a form hides the form's own property of its name ("dataset"), so none is read there.
  const written = (element, name) => element.getAttribute(`data-${name}`);

  const split = (text) => { const at = text.indexOf(":"); return [text.slice(0, at), text.slice(at + 1)]; };

  // Values that the page's script hands to gradio: a text box whose input event carries them to Python. A tab that was
  // never open has no boxes until gradio has drawn it, and a form that Python fills takes nothing before (web/form_fields.py).
  const onTheWay = new Set();  // the boxes that something waits for
  function hand_over(id, value, tries = 1200) {
    const box = document.querySelector(`#${id} textarea`) ?? document.querySelector(`#${id} input`);
    onTheWay.delete(id);
    if (box && !box.closest(".fills:not(:has([data-filled]))")) return set(box, value);
    if (!tries) return;
    onTheWay.add(id);
    setTimeout(() => hand_over(id, value, tries - 1), 50);
  }

  function set(box, value) {
    Object.getOwnPropertyDescriptor(Object.getPrototypeOf(box), "value").set.call(box, value);
    box.dispatchEvent(new Event("input", { bubbles: true }));
  }

  // Settings drawn from LLaMA-Factory's arguments: what is changed is kept as one object in a hidden box.
  document.addEventListener("change", (event) => {
    const name = event.target.dataset?.setting;
    if (!name) return;
    const box = document.querySelector("#train-extra textarea, #train-extra input");
    const said = JSON.parse(box?.value || "{}");
    if (event.target.value === "") delete said[name]; else said[name] = event.target.value;
    event.target.closest(".setting")?.classList.toggle("changed", event.target.value !== "");
    hand_over("train-extra", JSON.stringify(said));
  });

  // What Python made is taken in hand: gradio's own way to run a script after an answer would need text to be evaluated.
  function takeMade() {
    for (const { dataset } of document.querySelectorAll("[data-taken]")) {
      if (takeMade.turns.has(dataset.turn)) continue;
      takeMade.turns.add(dataset.turn);
      if (dataset.taken.startsWith("run:")) window.studio.forget();  // what was filled in has become a run
      pick(...split(dataset.taken));
    }
  }

  takeMade.turns = new Set();

  function goTo(tab) {
    document.querySelector(`#${tab}-button`)?.click();
    window.studio.moved(true);
  }

  // A tab that is opened shows what is new at once, not at the next second.
  document.addEventListener("click", (event) => { if (event.target.closest("[role=tab]")) setTimeout(refresh, 60); });

  // A part that still shows what was in hand before: the keyboard reaches its buttons too, which the pointer does not (studio.css).
  const isOutdated = (element) => element.closest('[data-live][aria-busy="true"]') !== null;

  // Drawn buttons --------------------------------------------------------------------------------------------------------------
  document.addEventListener("click", async (event) => {
    const item = event.target.closest("[data-pick], [data-call], [data-go], [data-give], [data-copy], [data-switch]");
    if (!item || isOutdated(item)) return;
    const { pick: picked, also, call: name, go, copy: copied } = item.dataset;
    if (also) pick(...split(also));
    if (picked) pick(...split(picked));
    if (item.dataset.fill) fill(document.getElementById(item.dataset.form), JSON.parse(item.dataset.fill));
    if (go) goTo(go);
    if (item.dataset.give) hand_over(...split(item.dataset.give));
    if (copied) copy(copied, item.dataset.done);
    if (item.dataset.switch === "language") switchLanguage();
    if (item.dataset.switch === "theme") switchTheme();
    if (item.dataset.switch === "leave") fetch(`${root()}/logout`, { method: "POST" }).finally(() => location.reload());
    // What is asked about is what stands here now: the button may be another row's when the answer comes.
    const { prompt: wanted, ask: sure, now = "", args = "[]" } = item.dataset, word = item.textContent.trim();
    const answer = wanted || sure ? await window.studio.ask({
      question: wanted || sure, now: wanted ? now : undefined, label: word.length < 3 ? item.title : word, isDanger: item.matches(".danger, .quiet") }) : "";
    if (name && answer !== null) {
      item.disabled = true;
      const said = wanted ? ["number" in item.dataset && answer.trim() && +answer === +answer ? +answer : answer] : [];
      try { finish(item, await call(name, ...JSON.parse(args || "[]"), ...said)); }
      catch (error) { toast(error.message, "bad"); }
      item.disabled = false;
      refresh();
    }
  });

  /** Copy a text and tell `done`. A page that came by plain http from another machine is lent no clipboard: it copies what is selected. */
  async function copy(text, done) {
    try { await navigator.clipboard.writeText(text); }
    catch { if (!copySelected(text)) return toast(document.querySelector("[data-toast-uncopied]").dataset.toastUncopied, "bad"); }
    toast(done, "good");
  }

  function copySelected(text) {
    const box = Object.assign(document.createElement("textarea"), { value: text }), before = document.activeElement;
    Object.assign(box.style, { position: "fixed", opacity: 0 });
    (document.querySelector("dialog[open]") ?? document.body).append(box);  // nothing beside an open dialog can be selected
    box.select();
    const isCopied = document.execCommand("copy");
    box.remove();
    before?.focus({ preventScroll: true });
    return isCopied;
  }

  // The named fields of a form as one object; of a field that may be chosen several times (data-many), the list of what is.
  function asObject(form, said) {
    const many = (name) => form.querySelector(`[data-many][name="${CSS.escape(name)}"]`);
    return Object.fromEntries([...new Set(said.keys())].map((name) => [name, many(name) ? said.getAll(name) : said.get(name)]));
  }

  // Drawn forms: the named fields go to the endpoint in their order; a fault is told in the form, and what was typed stays.
  document.addEventListener("submit", async (event) => {
    const form = event.target.closest("form[data-submit]");
    if (!form) return;
    event.preventDefault();
    if (isOutdated(form)) return;
    const told = form.querySelector("[role=alert]"), send = event.submitter ?? form.querySelector("[type=submit]");
    const said = new FormData(form, event.submitter);
    send.disabled = true;
    try {
      const result = await call(written(form, "submit"), ...(written(form, "as") === "object" ? [asObject(form, said)] : values(said)));
      told.hidden = true;
      HTMLFormElement.prototype.reset.call(form);
      document.activeElement?.blur();
      finish(form, result);
    } catch (error) {
      told.textContent = error.message;
      told.hidden = false;
    }
    send.disabled = false;
    refresh();
  });

  // Fields called "options.name" go together as one object.
  function values(fields) {
    const said = new Map();
    for (const [name, value] of fields) {
      const [group, key] = name.split(".");
      said.set(group, key ? { ...said.get(group), [key]: value } : value);
    }
    return said.values();
  }

  function fill(form, values) {
    for (const [name, value] of Object.entries(values)) form.querySelector(`[name="${CSS.escape(name)}"]`).value = value;
  }

  // A search box over the rows of a table: those without all its words are hidden.
  document.addEventListener("input", (event) => {
    const table = document.getElementById(event.target.dataset?.rows ?? "");
    if (!table) return;
    const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const body of table.tBodies) {
      const head = body.rows[0].textContent.toLowerCase();
      for (const row of [...body.rows].slice(1)) row.hidden = !words.every((word) => (head + row.textContent.toLowerCase()).includes(word));
      body.hidden = [...body.rows].slice(1).every((row) => row.hidden);
    }
  });

  // What is to happen after a call: a word, something to put out of hand with what was typed for it (`ends`), and something to take
  // in hand ("model:{name}", filled from the result).
  function finish(element, result) {
    if (element.hasAttribute("data-file")) download(result);
    toast(result?.[written(element, "said")] ?? written(element, "done"), "good");
    const over = written(element, "ends");
    if (over) {
      take(over, null);
      for (const box of document.querySelectorAll(`input[data-place^="${over}:"]`)) box.value = "";
    }
    const then = written(element, "then"), wanted = [...(then ?? "").matchAll(/\{(\w+)\}/g)].map(([, key]) => key);
    if (then && wanted.every((key) => result?.[key] !== undefined)) pick(...split(then.replace(/\{(\w+)\}/g, (_, key) => result[key])));
  }

  function download({ name, text, base64 }) {
    const content = base64 ? Uint8Array.from(atob(base64), (one) => one.charCodeAt(0)) : text;
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(new Blob([content])), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  // Language, light and dark, shortcuts --------------------------------------------------------------------------------------
  // The page's own language: gradio writes that of the browser into the document.
  const language = () => document.querySelector("[data-switch=language]").dataset.now;

  function switchLanguage() {
    const next = language() === "zh" ? "en" : "zh";
    document.cookie = `studio_language=${next}; path=/; max-age=31536000; samesite=lax`;
    location.reload();
  }

  function switchTheme() {
    const dark = document.body.classList.toggle("dark");
    localStorage.setItem("studio-theme", dark ? "dark" : "light");
  }

  function rememberTheme() {
    const wanted = localStorage.getItem("studio-theme");
    if (wanted && !location.search.includes("__theme")) document.body.classList.toggle("dark", wanted === "dark");
  }

  // On a narrow screen the sidebar would cover the page, so it begins closed there.
  function makeRoom() {
    if (innerWidth < 760) document.querySelector("#side.open .toggle-button")?.click();
  }

  document.addEventListener("keydown", (event) => {
    if (event.altKey && /^[1-9]$/.test(event.key)) {
      const tab = document.querySelectorAll("#rooms > .tab-wrapper button[role=tab]")[Number(event.key) - 1];
      if (tab) { event.preventDefault(); goTo(tab.id.replace("-button", "")); }
    }
    if (event.key === "Escape" && !document.querySelector("dialog[open]")) document.querySelector("#chat-stop:not([disabled])")?.click();
  });

  document.addEventListener("DOMContentLoaded", () => {
    let ready = false, due = false, regions = 0;
    const look = () => {
      due = false;
      follow();
      takeMade();
      window.studio.takeTheirs();
      window.studio.keepDrafts();
      window.studio.keepWhole();
      // A tab is drawn when it is opened: its regions come at once, not at the next second.
      const drawnNow = document.querySelectorAll("[data-live]").length;
      if (ready && drawnNow > regions) refresh();
      regions = drawnNow;
      if (!ready && document.querySelector("[data-live]") && document.querySelector("[data-switch=language]")) { ready = true; document.documentElement.lang = language(); window.studio.begin(); rememberTheme(); setTimeout(makeRoom, 400); refresh(); }
    };
    // Not at every change: while answers or charts grow there are many in a second.
    new MutationObserver(() => { if (!due) { due = true; setTimeout(look, 50); } }).observe(document.body, { childList: true, subtree: true });
  });

  // The browser's title tells how far the work is, also while another window is looked at.
  function tellTitle() {
    const now = document.querySelector(".live-now [data-title], .live-activity [data-title]")?.dataset.title ?? "";
    window.studio.isWorking = now !== "";
    const title = now ? `${now} · ${tellTitle.base ??= document.title}` : tellTitle.base ?? document.title;
    if (document.title !== title) document.title = title;
  }

  function drawn(element, arg) {
    if (["now", "activity"].includes(element.dataset.live)) tellTitle();
    if (element.dataset.first && !arg) chooseFirst(element, element.dataset.first);
    markPicked();
  }

  Object.assign(window.studio, { copy, drawn, pick, take, taken, set, goTo, handOver: hand_over, onTheWay, hand });
})();
