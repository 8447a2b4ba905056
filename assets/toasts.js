// What is told in passing, at the lower right: one below the other, good news for some seconds, a fault until it is closed or long
// over; the same sentence once, however many events ended in it. gradio's own notices become one of these; what it says in its own
// words is told in the page's.
(() => {
  "use strict";
  const GOOD_MS = 6000, BAD_MS = 30000, MARK = "\u2063";
  const make = (tag, name, text = "") => Object.assign(document.createElement(tag), { className: name, textContent: text });
  const told = () => document.querySelector("[data-toast-close]").dataset;

  function shelf() {
    const old = document.querySelector(".toasts");
    return old ?? document.body.appendChild(make("div", "toasts"));
  }

  function toast(text, kind) {
    if (!text) return;
    for (const same of document.querySelectorAll(`.toast-${kind}`)) if (same.firstChild.textContent === text) same.remove();
    const note = make("div", `toast toast-${kind}`), close = make("button", "toast-off", "×");
    Object.assign(close, { type: "button", title: told().toastClose, ariaLabel: told().toastClose });
    note.setAttribute("role", kind === "bad" ? "alert" : "status");
    note.append(make("span", "", text), close);
    shelf().append(note);
    let timer = 0;
    const leave = () => { timer = setTimeout(() => note.remove(), kind === "bad" ? BAD_MS : GOOD_MS); };
    close.onclick = () => note.remove();
    note.onmouseenter = note.onfocus = () => clearTimeout(timer);
    note.onmouseleave = leave;
    leave();
  }

  // gradio's notices are hidden by the styles. The studio's own sentences begin with an unseen mark (web/event_faults.py).
  function takeTheirs() {
    for (const theirs of document.querySelectorAll("[data-testid=toast-body]:not([data-taken-over])")) {
      theirs.dataset.takenOver = "";
      const said = theirs.querySelector(".toast-text").textContent.trim();
      if (said.startsWith(MARK)) toast(said.slice(MARK.length), "bad");
      else if (theirs.classList.contains("error")) toast(told().toastForeign, "bad");
      theirs.querySelector("[data-testid=toast-close]")?.click();
    }
  }

  Object.assign(window.studio, { toast, takeTheirs });
})();
