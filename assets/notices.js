// The browser's own notices of what happens to runs: asked for by the bell, shown while the page is open, also in the background.
(() => {
  "use strict";
  const KEY = "studio-notices", EVERY_MS = 5000;
  const bell = () => document.querySelector("[data-switch=notices]");
  const on = () => localStorage.getItem(KEY) === "on" && window.Notification?.permission === "granted";
  let since = 0, asking = false;

  async function press() {
    const told = bell().dataset;
    if (on()) {
      localStorage.removeItem(KEY);
      window.studio.toast(told.off, "good");
    } else if (!window.isSecureContext || !window.Notification) window.studio.toast(told.missing, "bad");
    else if (await Notification.requestPermission() !== "granted") window.studio.toast(told.denied, "bad");
    else {
      localStorage.setItem(KEY, "on");
      since = 0;
      window.studio.toast(told.on, "good");
      ask();
    }
    mark();
  }

  const mark = () => bell()?.setAttribute("aria-pressed", String(Boolean(on())));

  async function ask() {
    mark();
    if (!on() || asking) return;
    asking = true;
    try {
      const answer = await window.studio.call("train_notices", since);
      since = answer.now;
      for (const notice of answer.notices) show(notice);
    } catch { /* the page says itself that it is not connected; what happens meanwhile is told afterwards */ }
    asking = false;
  }

  // One tag for one event: two open pages show it once.
  function show({ id, run, label, text }) {
    const notice = new Notification(label, { body: text, tag: id });
    notice.onclick = () => {
      window.focus();
      window.studio.goTo("room-train");
      window.studio.pick("run", run);
      notice.close();
    };
  }

  document.addEventListener("click", (event) => { if (event.target.closest("[data-switch=notices]")) press(); });
  setInterval(ask, EVERY_MS);
})();
