// The columns of the chat: asked for often while somebody answers, and only the pieces that are new are put in.
(() => {
  "use strict";
  const QUICK_MS = 120, SLOW_MS = 1000;
  let timer = 0, busy = false, shown = "", looking = false, again = false;

  async function look() {
    const place = document.getElementById("chat-columns");
    if (looking) { again = true; return; }
    looking = true;
    clearTimeout(timer);
    try {
      if (place?.offsetParent && !document.hidden) await draw(place, place.dataset.arg ?? "");
    } finally {
      looking = false;
      timer = setTimeout(look, again ? 0 : busy ? QUICK_MS : SLOW_MS);
      again = false;
    }
  }

  let arriving = null, arrived = () => {};
  // Another conversation is in hand: its columns and settings come at once, whatever is still asked of the last one.
  function take(place, id) {
    if (id === shown) return;
    shown = id;
    place.replaceChildren();
    window.studio.handOver("chat-now", id);
    arrived();
  }

  async function draw(place, id) {
    if (!id) { empty(place); return say(false); }
    const known = Object.fromEntries([...place.querySelectorAll("[data-key]")].map((e) => [e.dataset.key, e.dataset.mark]));
    let picture;
    try { picture = await window.studio.call("chat_picture", id, known); }
    catch (error) { if (place.dataset.arg === id) gone(error); return say(false); }
    if (place.dataset.arg === id) { put(place, picture); say(picture.busy); }
  }

  function empty(place) {
    if (!place.querySelector(".hint")) place.replaceChildren(Object.assign(document.createElement("p"), { className: "hint", textContent: place.dataset.empty }));
  }

  // A conversation that was deleted elsewhere. Where the studio does not answer now, it stays, and the page says so (live.js).
  function gone(error) {
    if (error instanceof window.studio.Unreached) return;
    window.studio.pick("chat", "");
    window.studio.toast(error.message, "bad");
  }

  function say(now) {
    if (busy && !now) window.studio.refresh();
    busy = now;
    const stop = document.getElementById("chat-stop"), repeat = document.getElementById("chat-again");
    if (stop) stop.disabled = !now;
    if (repeat) repeat.disabled = now || !shown;
  }

  function put(place, picture) {
    while (place.children.length > picture.columns.length || place.querySelector(":scope > .hint")) place.lastElementChild.remove();
    picture.columns.forEach((column, i) => {
      const box = place.children[i] ?? place.appendChild(make());
      const [head, said] = box.children;
      window.studio.morph(head, column.head, true);
      box.id = `chat-${i}`;
      const pinned = said.scrollHeight - said.scrollTop - said.clientHeight < 40;
      pieces(said, column.said);
      if (pinned) said.scrollTop = said.scrollHeight;
    });
  }

  function make() {
    const box = document.createElement("section");
    box.className = "chat-column";
    box.innerHTML = "<header></header><div class='talk'></div>";
    return box;
  }

  function pieces(place, wanted) {
    wanted.forEach((piece, i) => {
      let element = place.children[i];
      if (!element) element = place.appendChild(document.createElement("div"));
      if (piece.html === null) return;
      window.studio.morph(element, piece.html, element.dataset.key === piece.key);
      Object.assign(element.dataset, { key: piece.key, mark: piece.mark });
    });
    while (place.children.length > wanted.length) place.lastElementChild.remove();
  }

  // Every way into a conversation ends with the cursor in the box; who is typing elsewhere is left there.
  function write() {
    const box = document.querySelector("#chat-say textarea"), busy = document.activeElement;
    if (box?.offsetParent && !busy?.matches("input, textarea, select, [contenteditable]")) box.focus({ preventScroll: true });
  }

  // A model or a run that is handed over from elsewhere is asked in a conversation, whichever part was open.
  document.addEventListener("input", (event) => {
    if (!event.target.closest("#chat-wish, #chat-add")) return;
    window.studio.pick("talk", "talk", false);
    if (event.target.closest("#chat-wish")) arriving = new Promise((done) => { arrived = done; setTimeout(done, 20_000); }).then(() => { arriving = null; });
    for (const ms of [100, 800]) setTimeout(write, ms);
  });
  // A question that is sent before that conversation is there belongs to it, not to the one before.
  function await_conversation(event) {
    if (!arriving) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    arriving.then(() => document.getElementById("chat-send").click());
  }
  document.addEventListener("click", (event) => { if (event.target.closest("#chat-send")) await_conversation(event); }, true);
  document.addEventListener("keydown", (event) => { if (event.key === "Enter" && !event.shiftKey && event.target.closest("#chat-say")) await_conversation(event); }, true);
  document.addEventListener("click", (event) => {
    if (event.target.closest('#room-chat-button, [data-pick^="chat:"], [data-pick="talk:talk"], [data-go=room-chat], #chat-send')) setTimeout(write, 120);
  });

  // System prompt, sampling and tools stand beside the columns, where there is room from the start.
  const SIDE = "chat-side";
  function showSide() {
    const open = (localStorage.getItem(SIDE) ?? (innerWidth >= 1400 ? "open" : "shut")) === "open";
    document.body.classList.toggle("chat-side-open", open);
    document.getElementById("chat-side-switch")?.setAttribute("aria-expanded", String(open));
  }
  document.addEventListener("click", (event) => {
    if (!event.target.closest("#chat-side-switch")) return;
    localStorage.setItem(SIDE, document.body.classList.contains("chat-side-open") ? "shut" : "open");
    showSide();
  });

  document.addEventListener("click", async (event) => {
    const item = event.target.closest("#chat-stop, #chat-again");
    if (!item || item.disabled || !shown) return;
    try { await window.studio.call(item.id.replace("-", "_"), shown); } catch (error) { window.studio.toast(error.message, "bad"); }
    look();
  });

  // What is typed and not sent yet outlives a reload.
  document.addEventListener("input", (event) => {
    if (event.isTrusted && event.target.closest("#chat-say")) localStorage.setItem("draft-chat", event.target.value);
  });
  // It is forgotten when it was sent, which empties the box; a question that is refused stays there.
  function sent() {
    for (const ms of [300, 1500, 5000]) setTimeout(() => {
      if (document.querySelector("#chat-say textarea")?.value === "") localStorage.removeItem("draft-chat");
    }, ms);
  }
  document.addEventListener("click", (event) => { if (event.target.closest("#chat-send")) sent(); });
  document.addEventListener("keydown", (event) => { if (event.key === "Enter" && !event.shiftKey && event.target.closest("#chat-say")) sent(); });

  document.addEventListener("DOMContentLoaded", () => {
    // The tab is drawn when it is opened first: that is seen, not asked for again and again.
    const awaited = new MutationObserver(() => {
      if (!document.querySelector("#chat-say textarea")) return;
      awaited.disconnect();
      const place = document.getElementById("chat-columns"), follow = () => { take(place, place.dataset.arg ?? ""); look(); };
      const problem = document.getElementById("chat-problem");
      new MutationObserver(() => { if (problem.querySelector(".problem")) arrived(); }).observe(problem, { childList: true, subtree: true });
      new MutationObserver(follow).observe(place, { attributeFilter: ["data-arg"] });
      follow();
      showSide();
      document.querySelector("#chat-say textarea").setAttribute("aria-label", place.dataset.question);  // gradio names the box after its class
      document.querySelector("#chat-say .upload-button")?.setAttribute("aria-label", place.dataset.attach);
      write();
      const draft = localStorage.getItem("draft-chat");
      if (draft) window.studio.handOver("chat-say", draft);
    });
    awaited.observe(document.body, { childList: true, subtree: true });
    document.addEventListener("visibilitychange", look);
  });
  // A question that was sent is drawn at once.
  document.addEventListener("click", (event) => {
    if (event.target.closest("#chat-send, [data-call^=chat], [role=tab], .chat-column [type=submit]")) setTimeout(look, 150);
  });
})();
