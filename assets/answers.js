// What comes late undoes nothing. Answers of one event are taken in the order in which they were asked for: gradio means to ask one
// question at a time ("always_last") and asks two where a third is raised as the first is answered; the older answer could come last,
// and stand. What stands in a box by now stays a choice of it: gradio takes out, or calls "undefined", what new choices lack. A single
// number is a suggestion: it takes the place of none that was typed meanwhile. And nothing that comes moves what is being pressed.
(() => {
  "use strict";
  const PRESS_MS = 10_000;  // a press that is not told to be over (the pointer left the window) holds nothing up for longer
  const plain = window.fetch, last = new Map(), AS_IT_IS = { __type__: "update" };
  const held = new Map();  // component: its value, as the last question or answer had it
  const names = new Map();  // component: what its choices are called, those too that are none any more, by value
  const { dependencies = [], components = [] } = window.gradio_config ?? {};
  const events = new Map(dependencies.map((one) => [one.id, one])), boxes = new Map(components.map((one) => [one.id, one]));
  let pressed = Promise.resolve(), release = () => {};

  // What is under a pressed pointer stays there until it is let go: a button that is drawn anew, or moved, meanwhile would lose the
  // press, or give it to the one that takes its place. The browser tells the click after the release, in the same task. A slider is
  // no button: what follows from it is seen as it is drawn along.
  document.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.target.matches?.("[type=range]")) return;
    pressed = new Promise((resolve) => { release = resolve; setTimeout(resolve, PRESS_MS); });
  }, true);
  for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => setTimeout(release), true);
  // Of a scrollbar or a list of the browser's own no release is told, but the pointer moves on.
  document.addEventListener("pointermove", (event) => { if (!event.buttons) release(); }, { capture: true, passive: true });

  /** Resolves once no pointer is pressed. */
  const released = () => pressed;

  function questionOf(place, options) {
    if (!String(place).includes("/run/predict") || typeof options?.body !== "string") return undefined;
    try { return JSON.parse(options.body); } catch { return undefined; }
  }

  function namesIn(id) {
    if (!names.has(id)) names.set(id, new Map((boxes.get(id)?.props.choices ?? []).map(([name, value]) => [value, name])));
    return names.get(id);
  }

  // The number for which an event asks, as it stands on the page; undefined where it asks for something else.
  function typed({ outputs }) {
    const box = outputs.length === 1 && boxes.get(outputs[0]);
    return box?.type === "number" ? document.getElementById(box.props.elem_id || `component-${box.id}`)?.querySelector("input")?.value : undefined;
  }

  function taken(event, data, before) {
    if (before !== undefined && before !== typed(event)) return [AS_IT_IS];
    return data.map((one, at) => {
      const id = event.outputs[at], isUpdate = one?.__type__ === "update";
      if (!isUpdate || "value" in one) held.set(id, isUpdate ? one.value : one);
      if (!isUpdate || !Array.isArray(one.choices)) return one;
      const known = new Set(one.choices.map(([, value]) => value)), called = namesIn(id);
      for (const [name, value] of one.choices) called.set(value, name);
      const kept = [held.get(id) ?? []].flat().filter((value) => value !== "" && !known.has(value));
      return { ...one, choices: [...one.choices, ...kept.map((value) => [called.get(value) ?? value, value])] };
    });
  }

  async function answer(asked, event, before) {
    const response = await asked, text = await response.text();
    await pressed;
    const { status, headers } = response;
    let body = text;
    try {
      const said = JSON.parse(text);
      if (Array.isArray(said.data)) body = JSON.stringify({ ...said, data: taken(event, said.data, before) });
    } catch { /* a proxy's page, of which gradio tells */ }
    return new Response(body, { status, headers });
  }

  window.fetch = (place, options) => {
    const asked = plain(place, options), question = questionOf(place, options);
    if (question === undefined) return asked;
    const event = events.get(question.fn_index), { fn_index } = question;
    if (event) event.inputs.forEach((id, at) => held.set(id, question.data?.[at]));
    const before = event && typed(event), earlier = last.get(fn_index);
    const inTurn = Promise.allSettled([earlier]).then(() => event ? answer(asked, event, before) : asked);
    last.set(fn_index, inTurn);
    return inTurn;
  };

  window.studio = { released };
})();
