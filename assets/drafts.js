// What is entered in a form outlives a reload and a change of language until the form has made something. Python says what is
// entered, and takes it back (web/form_fields.py); Train's form has a draft of its own (form.js). Python is told too when a form is
// drawn first, which is when its tab is opened.
(() => {
  "use strict";
  const ID = "draft-of-", given = new Set(), seen = new Map();

  function keepDrafts() {
    for (const { dataset } of document.querySelectorAll("[data-draft]")) {
      if (seen.get(dataset.draft) === dataset.entered) continue;
      seen.set(dataset.draft, dataset.entered);
      if (dataset.entered) localStorage.setItem(ID + dataset.draft, dataset.entered);
      else localStorage.removeItem(ID + dataset.draft);
    }
    for (const box of document.querySelectorAll(".first-seen :is(textarea, input)")) if (!box.value) window.studio.set(box, "1");
    // A form takes nothing before it is filled.
    for (const box of document.querySelectorAll(`[id^="${ID}"] :is(textarea, input)`)) {
      const { id } = box.closest(`[id^="${ID}"]`);
      if (given.has(id) || box.closest(".fills:not(:has([data-filled]))")) continue;
      given.add(id);
      const entered = localStorage.getItem(id);
      if (entered) window.studio.set(box, entered);
    }
  }

  Object.assign(window.studio, { keepDrafts });
})();
