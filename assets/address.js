// Where one is on the page, as an address: "#/train?run=...&part=log". A tab's address names what is in hand of it; of what it is
// made, and what need not be said, each tab declares (`ADDRESS`). Back and Forward, links and reloads all go through it.
(() => {
  "use strict";
  const { hand, take } = window.studio, tabs = () => document.querySelectorAll("#rooms > .tab-wrapper > .tab-container:not(.visually-hidden) button[role=tab]");
  const name = (button) => button?.id.replace(/^room-|-button$/g, "");
  let kinds = null, wanted = "", isStep = false, timer = 0;

  const open = () => name([...tabs()].find((one) => one.getAttribute("aria-selected") === "true"));
  const parsed = () => { const [tab, query = ""] = location.hash.slice(2).split("?"); return [tab, new URLSearchParams(query)]; };
  const plain = (text) => encodeURIComponent(text).replace(/%(2F|3A|40|2C|7C)/g, decodeURIComponent);

  function address(tab) {
    const said = Object.entries(kinds[tab] ?? {}).filter(([kind, standard]) => (hand[kind] ?? standard ?? "") !== (standard ?? ""));
    return `#/${tab}${said.length ? "?" : ""}${said.map(([kind]) => `${kind}=${plain(hand[kind])}`).join("&")}`;
  }

  // A step of the person can be gone back; what the page chose by itself (the first of a list) belongs to the step before.
  function moved(byPerson) {
    isStep ||= byPerson;
    clearTimeout(timer);
    timer = setTimeout(write, 40);
  }

  function write() {
    const tab = open();
    if (!kinds || !tab || (wanted && tab !== wanted)) return;
    const now = address(tab);
    if (now !== location.hash) history[isStep && location.hash ? "pushState" : "replaceState"](null, "", now);
    document.getElementById(`room-${tab}-button`).scrollIntoView({ block: "nearest", inline: "nearest" });
    wanted = "";
    isStep = false;
  }

  // Take in hand what the address says; what it does not say is as it is at first.
  function read() {
    const [tab, query] = parsed();
    if (!kinds[tab]) return moved(false);
    for (const [kind, standard] of Object.entries(kinds[tab])) take(kind, query.get(kind) ?? standard, query.has(kind));
    window.studio.taken();
    isStep = false;
    if (open() !== tab) {
      wanted = tab;
      document.getElementById(`room-${tab}-button`)?.click();
    }
    moved(false);
  }

  // Once the page stands: what the tabs declared is in it.
  function begin() {
    kinds = JSON.parse(document.querySelector("[data-addresses]").dataset.addresses);
    new MutationObserver(() => moved(false)).observe(document.querySelector("#rooms > .tab-wrapper"), { subtree: true, attributeFilter: ["aria-selected"] });
    read();
    window.addEventListener("popstate", read);
    setTimeout(() => { wanted = ""; }, 2000);
  }

  document.addEventListener("click", (event) => { if (event.isTrusted && event.target.closest("#rooms > .tab-wrapper button[role=tab]")) moved(true); });
  // gradio is to draw the tab of the address, not first the one that it would open by itself, and all that stands in it.
  const drawn = window.gradio_config?.components ?? [], rooms = drawn.find((one) => one.props.elem_id === "rooms");
  if (drawn.some((one) => one.type === "tabitem" && one.props.id === parsed()[0])) rooms.props.selected = parsed()[0];
  Object.assign(window.studio, { moved, begin });
})();
