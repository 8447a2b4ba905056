// What is entered in a form outlives a reload and a change of language until the form has made something. Python says what is
// entered, and takes it back (web/form_fields.py); Train's form has a draft of its own (form.js). Python is told too when a form is
// in sight first, which is when its tab, and its part of the tab, is opened.
(() => {
  "use strict";
  const ID = "draft-of-", FILLED_MS = 30_000;  // an answer that does not come does not keep a form away for longer
  const given = new Set(), seen = new Map();
  const boxes = (column) => [...column.querySelectorAll(".first-seen :is(textarea, input)")].filter((box) => !box.value && box.closest(".column") === column);
  // A column that is not displayed has no size.
  const sizes = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (!target.offsetWidth) continue;
      sizes.unobserve(target);
      for (const box of boxes(target)) window.studio.set(box, "1");
      setTimeout(() => target.classList.remove("fills"), FILLED_MS);
    }
  });

  function keepDrafts() {
    for (const mark of document.querySelectorAll("[data-draft]")) {
      const { dataset } = mark;
      if (seen.get(dataset.draft) === dataset.entered) continue;
      seen.set(dataset.draft, dataset.entered);
      mark.closest(".column").classList.remove("returning");
      if (dataset.entered) localStorage.setItem(ID + dataset.draft, dataset.entered);
      else localStorage.removeItem(ID + dataset.draft);
    }
    for (const box of document.querySelectorAll(".first-seen :is(textarea, input)")) if (!box.value) sizes.observe(box.closest(".column"));
    // A form takes nothing before it is filled.
    for (const box of document.querySelectorAll(`[id^="${ID}"] :is(textarea, input)`)) {
      const { id } = box.closest(`[id^="${ID}"]`);
      if (given.has(id) || box.closest(".fills:not(:has([data-filled]))")) continue;
      given.add(id);
      const entered = localStorage.getItem(id);
      if (entered) giveBack(box, entered);
    }
  }

  // Nobody chooses anything in a form before its draft is back in it: that would be written over. An answer that does not come
  // does not keep the form away.
  function giveBack(box, entered) {
    const column = box.closest(".column");
    column.classList.add("returning");
    setTimeout(() => column.classList.remove("returning"), 10_000);
    window.studio.set(box, entered);
  }

  // gradio takes the first value of these for a change, and for an entry of the person, when a tab that is opened makes them.
  const made = new Map((window.gradio_config?.components ?? []).filter((one) => ["number", "slider", "code"].includes(one.type)).map((one) => [one.id, one.props.elem_id || `component-${one.id}`]));
  document.addEventListener("gradio", (event) => {
    const { id, event: name } = event.detail ?? {};
    if (["input", "change"].includes(name) && made.has(id) && !document.getElementById(made.get(id))) event.stopImmediatePropagation();
  }, true);

  Object.assign(window.studio, { keepDrafts });
})();
