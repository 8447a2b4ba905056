// What the live plots ask of the studio: the points of a run, in one answer or as they come.
(() => {
  "use strict";

  const FIRST_MS = 5000, NEXT_MS = 15000;  // a stream begins at once, and says something each 5 s
  let isHeldBack = false;  // by a proxy that hands an answer on when it is whole: then each answer holds one event

  const address = (path) => `${(window.gradio_config?.root ?? "").replace(/\/+$/, "")}/gradio_api/${path}`;

  /** Have `read` take what comes in answer to a request, and return what it does: whether it was an answer. Returns false where nothing
      came in time: the studio is down, the connection is, or a proxy answered in its place. `read` is given the response, and what
      gives it time for the next piece. */
  async function ask(path, said, request, firstMs, read) {
    const within = (ms) => setTimeout(() => request.abort(), ms);
    let timer = within(firstMs);
    try {
      return await read(await fetch(address(path), { ...said, signal: request.signal }), () => { clearTimeout(timer); timer = within(NEXT_MS); });
    } catch {
      return false;
    } finally {
      clearTimeout(timer);
    }
  }

  function refused(sentence, taken) {
    if (sentence) taken({ refusal: sentence });
    return Boolean(sentence);
  }

  /** Ask once for the points of `run` after `since`. `taken` is called with the answer, or {refusal} with the studio's sentence.
      Returns whether there was one; `request` is an AbortController. */
  function question(run, since, request, taken) {
    const said = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ data: [run, since], session_hash: "page" }) };  // as in live.js
    return ask("run/train_metrics", said, request, NEXT_MS, async (response) => {
      const answer = await response.json();
      if (!response.ok) return refused(answer.error, taken);
      taken(answer.data[0]);
      return true;
    });
  }

  /** As `question`, with each answer as it comes, `pause` ms apart at the least, for as long as `taken` returns true. */
  async function follow(run, since, pause, request, taken) {
    const said = new URLSearchParams({ name: run, since, pause_s: pause / 1000, ...(isHeldBack ? { lasts_s: 0 } : {}) });
    const asked = Date.now();
    let isBegun = false;
    const isAnswered = await ask(`stream/train_metrics?${said}`, {}, request, isHeldBack ? NEXT_MS : FIRST_MS, async (response, wait) => {
      if (!response.ok) return refused((await response.json()).error, taken);
      const pieces = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let text = "", piece; !(piece = await pieces.read()).done;) {
        wait();
        isBegun = true;
        const events = (text + piece.value).split("\n\n");
        text = events.pop();
        for (const event of events.filter((one) => one.startsWith("data: "))) {
          const answer = JSON.parse(event.slice(6));
          if (answer.error ? !refused(answer.error, taken) : !taken(answer)) return request.abort(), true;
        }
      }
      return isBegun;
    });
    if (!isBegun && Date.now() - asked >= FIRST_MS) isHeldBack = true;
    return isAnswered;
  }

  window.chartFeed = { question, follow };
})();
