// What the page asks of the studio: endpoints, and live regions, whose new HTML is merged into what stands there.
(() => {
  "use strict";
  const root = () => (window.gradio_config?.root ?? location.origin + location.pathname).replace(/\/$/, "");
  const marks = new WeakMap();
  const BEAT_MS = 900, CALM_MS = 8000, CALM_BEAT_MS = 5000, HIDDEN_MS = 9500;
  let asking = false, again = false, askedAt = 0;

  /** The studio gave no answer: it is down, the connection is, or a proxy answered in its place. */
  class Unreached extends Error {
    constructor() { super(document.querySelector("[data-toast-foreign]").dataset.toastForeign); }
  }

  /** The result of an endpoint. Throws an Error with the studio's own sentence where it refuses, and Unreached. */
  async function call(name, ...said) {
    // A plain request must name every argument; those left out are filled up with the defaults (web/page.py).
    const data = [...said, ...(window.endpointDefaults?.[name] ?? []).slice(said.length)];
    const request = {
      method: "POST", headers: { "Content-Type": "application/json" },
      // Without a session gradio builds a new one for every call, which costs more than the call; none of these keeps anything in it.
      body: JSON.stringify({ data, session_hash: "page" }),
    };
    let answer, body;
    try {
      answer = await fetch(`${root()}/gradio_api/run/${name}`, request);
      if (answer.status === 401) location.reload();  // the session has ended: the page that asks for the password comes
      body = await answer.json();
    } catch { throw new Unreached(); }
    if (answer.ok && body.data) return body.data[0];
    throw body.error ? new Error(body.error) : new Unreached();
  }

  // Live regions -----------------------------------------------------------------------------------------------------------
  async function refresh() {
    if (asking) again = true;
    if (asking || (document.hidden && !window.studio.isWorking)) return;
    const inSight = (e) => (document.hidden ? ["now", "activity"].includes(e.dataset.live) : e.offsetParent !== null || e.closest(".sidebar"));
    const regions = [...document.querySelectorAll("[data-live]")].filter(inSight);
    if (!regions.length) return;
    asking = true;
    askedAt = Date.now();
    try {
      const asked = regions.map((e) => ({ name: e.dataset.live, arg: e.dataset.arg, mark: marks.get(e)?.arg === e.dataset.arg ? marks.get(e).mark : "" }));
      const answers = await call("live", asked);
      await window.studio.released();
      answers.forEach((answer, i) => {
        if (answer) put(regions[i], asked[i].arg, answer);
        if (regions[i].dataset.arg === asked[i].arg) regions[i].ariaBusy = null;
      });
      // Where nothing changes `toggle` changes nothing; `add` and `remove` count as changes of the page, whose plots are drawn anew.
      document.body.classList.toggle("unconnected", false);
    } catch (error) {
      document.body.classList.toggle("unconnected", true);
    } finally {
      asking = false;
      if (again) { again = false; refresh(); }
    }
  }

  function put(element, arg, answer) {
    if (element.dataset.arg !== arg) return;
    const same = marks.get(element)?.arg === arg, isLog = element.dataset.live.endsWith("log");
    const pinned = isLog && element.scrollHeight - element.scrollTop - element.clientHeight < 8;
    morph(element, answer.html, same);
    marks.set(element, { mark: answer.mark, arg });
    if (pinned) element.scrollTop = element.scrollHeight;
    window.studio.drawn(element, arg);
    window.plots.draw(element);
  }

  // Nodes stay where they can: focus, selection and scrolling survive a tick, and of the same thing open folds and what was typed.
  function morph(element, html, same) {
    const callbacks = same ? { beforeNodeMorphed: keep, beforeNodeRemoved: keepForm, beforeAttributeUpdated: keepOpen } : {};
    Idiomorph.morph(element, html, { morphStyle: "innerHTML", ignoreActiveValue: same, callbacks });
  }

  const keep = (old, fresh) => old.nodeType === Node.TEXT_NODE ? keepSelected(old, fresh) : old.dataset?.plot ? keepPlot(old, fresh)
    : old.localName === "form" ? keepForm(old, fresh) : keepTyped(old, fresh);

  // What a plot has drawn stands in none of the HTML that comes: it stays, and draws the new points (plots.js).
  function keepPlot(old, fresh) {
    if (!fresh.dataset?.plot) return true;
    old.dataset.plot = fresh.dataset.plot;
    return false;
  }

  // A selection that begins or ends in a text is lost when the whole text is set, as idiomorph does: only what differs is put in.
  function keepSelected(old, fresh) {
    const [before, after] = [old.data, fresh.data], most = Math.min(before.length, after.length);
    let start = 0, end = 0;
    while (start < most && before[start] === after[start]) start += 1;
    while (end < most - start && before.at(-1 - end) === after.at(-1 - end)) end += 1;
    if (before !== after) old.replaceData(start, before.length - start - end, after.slice(start, after.length - end));
  }

  // A form in use stays as it is when what it changes (`data-of`) is another thing now, or gone: what was typed belongs to the
  // other. It says so, and to save it is refused.
  function keepForm(old, fresh) {
    if (old.localName !== "form" || old.getAttribute("data-of") === (fresh?.getAttribute("data-of") ?? null)) return true;
    const fields = [...old.querySelectorAll("input, textarea")];
    if (!fields.some((one) => one === document.activeElement || one.value !== one.defaultValue)) return true;
    const told = old.querySelector("[role=alert]");
    told.textContent = old.getAttribute("data-changed");
    told.hidden = false;
    return false;
  }

  // A field that the person changed keeps what they typed, unless the page now has another value for it.
  function keepTyped(old, fresh) {
    if (!old.matches?.("input, textarea, select") || !fresh.matches?.(old.localName)) return;
    if (old.type === "checkbox" || old.type === "radio") { if (old.defaultChecked === fresh.defaultChecked) fresh.checked = old.checked; }
    else if (old.matches("select") ? [...old.options].map((o) => o.defaultSelected).join() === [...fresh.options].map((o) => o.defaultSelected).join() : old.defaultValue === fresh.defaultValue) fresh.value = old.value;
  }

  // idiomorph empties a field that is drawn without a value, whatever was typed into it.
  const keepOpen = (name, node, change) => name === "open" ? node.localName !== "details" : name !== "value" || change !== "remove" || !!node.defaultValue;

  /** Ask, where the last question is so long ago (ms). */
  const refreshAfter = (ms) => { if (Date.now() - askedAt >= ms) refresh(); };
  const isCalm = () => Date.now() < window.studio.calmUntil && [...document.querySelectorAll(".charts")].some((one) => one.offsetParent);

  // `drawn(element, arg)` is called after a region was drawn. Until `calmUntil` (ms), and while its plots are in sight, the page asks
  // with the plots of the run that it shows, which `beat` tells: looking at a run takes time from it where both share a processor,
  // and two drawings cost twice as much as one. A page that nobody looks at asks for nothing, but while `isWorking` for how far the
  // work is, which its title tells.
  Object.assign(window.studio, {
    root, call, Unreached, refresh, morph, drawn: () => {}, calmUntil: 0, isWorking: false, beat: () => { if (isCalm()) refreshAfter(CALM_BEAT_MS); },
  });

  document.addEventListener("DOMContentLoaded", () => {
    setInterval(() => refreshAfter(document.hidden ? HIDDEN_MS : isCalm() ? CALM_MS : BEAT_MS), 1000);
    document.addEventListener("visibilitychange", refresh);
  });
})();
