// An open list of choices stays whole. gradio shows only what fits the chosen one once new choices come in, which is when a
// person has just opened the list and the server has told what there is.
(() => {
  "use strict";
  let list = null, typed = false;
  const changes = new MutationObserver((records) => {
    if (!typed && records.some((one) => one.target.matches("ul.options"))) widen();
  });

  function widen() {
    changes.disconnect();
    list.dispatchEvent(new FocusEvent("focus"));
    requestAnimationFrame(() => { if (document.activeElement === list) watch(); });
  }

  const watch = () => changes.observe(list.closest(".block"), { childList: true, subtree: true });

  document.addEventListener("focusin", (event) => {
    if (!event.target.matches?.("input[role=listbox]")) return;
    [list, typed] = [event.target, false];
    changes.disconnect();
    watch();
  });
  document.addEventListener("input", (event) => { if (event.target === list) typed = true; });
  document.addEventListener("focusout", (event) => { if (event.target === list) changes.disconnect(); });
})();
