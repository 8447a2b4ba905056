// An open list of choices stays whole. gradio shows only what fits the chosen one once new choices come in, which is when a
// person has just opened the list and the server has told what there is. Python marks that it did (web/form_fields.py).
(() => {
  "use strict";
  const seen = new WeakMap();
  let typed = false;

  function keepWhole() {
    let came = false;
    for (const mark of document.querySelectorAll("[data-offered]")) {
      const place = mark.parentNode;
      came ||= seen.get(place) !== mark.dataset.offered;
      seen.set(place, mark.dataset.offered);
    }
    const list = document.activeElement;
    if (came && !typed && list?.matches("input[role=listbox]")) list.dispatchEvent(new FocusEvent("focus"));
  }

  document.addEventListener("focusin", () => { typed = false; });
  document.addEventListener("input", (event) => { typed ||= event.target === document.activeElement; });
  Object.assign(window.studio, { keepWhole });
})();
