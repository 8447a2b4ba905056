// The live plots of a run: finds `.charts[data-arg]` elements, asks for the new points of their run and draws them with uPlot.
// Wants uPlot, chart_points.js, chart_feed.js and chart_tools.js before it.
(() => {
  "use strict";

  const { question, follow } = window.chartFeed;
  const { ValueBox, actions, switchable } = window.chartTools;
  const { append, smooth, defaultWeight, short, tickLabels, logTicks, logLabel, elapsed, valueRange } = window.chartPoints;

  // What is drawn: figures and their lines. A figure without data is not shown, the first one always is. A name is also the key
  // of its words; `log` obeys the log switch, `zero` keeps zero in sight.
  const FIGURES = [
    { name: "loss", log: true, lines: [
      { series: "loss", look: "raw" }, { series: "loss", look: "smoothed" }, { series: "eval_loss", look: "dots" }] },
    { name: "learning_rate", zero: true, lines: [{ series: "learning_rate", look: "line" }] },
    { name: "grad_norm", zero: true, lines: [{ series: "grad_norm", look: "line" }] },
    { name: "reward", lines: [{ series: "reward", look: "line" }] },
    { name: "rewards/margins", lines: [{ series: "rewards/margins", look: "line" }] },
    { name: "rewards/accuracies", zero: true, lines: [{ series: "rewards/accuracies", look: "line" }] },
    { name: "rewards", lines: [{ series: "rewards/chosen", look: "line" }, { series: "rewards/rejected", look: "other" }] },
    { name: "kl", zero: true, lines: [{ series: "kl", look: "line" }] },
    { name: "eval_accuracy", zero: true, lines: [{ series: "eval_accuracy", look: "dots" }] },
    { name: "num_input_tokens_seen", zero: true, lines: [{ series: "num_input_tokens_seen", look: "line" }] },
    { name: "tokens_per_second", zero: true, lines: [{ series: "tokens_per_second", look: "line" }] },
    { name: "memory", zero: true, lines: [{ series: "memory", look: "line" }] },
    { name: "utilisation", zero: true, lines: [{ series: "utilisation", look: "line" }] },
  ];
  const AXES = ["step", "epoch", "time"], WHOLE = new Intl.NumberFormat("en");
  const lineWord = (series, look) => (look === "raw" || look === "smoothed" ? look : series);
  const LOOKS = {
    raw: { color: "--accent", width: 1, alpha: 0.5 },
    smoothed: { color: "--accent", width: 2 },
    line: { color: "--accent", width: 1.5 },
    other: { color: "--failed", width: 1.5 },
    dots: { color: "--ink", width: 1.25, dots: true },
  };
  const KEPT = new Set(FIGURES.flatMap((figure) => figure.lines.map((line) => line.series)));
  const FINAL = new Set(["finished", "stopped", "failed", "interrupted"]);
  const ASK_MS = 400, CALM_MS = 1000, WAIT_S = 5, REST_MS = 5000, BACK_OFF_MS = 10000;
  const STEPS = Array.from({ length: 30 }, (_, index) => [1, 2, 5][index % 3] * 10 ** Math.floor(index / 3));
  const EPOCHS = [...[0.01, 0.02, 0.05, 0.1, 0.2, 0.5], ...STEPS];
  const SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800];

  // ---- settings of the viewer, kept in this browser ----

  const settings = { log: false, weight: null, axis: "step", off: [] };  // off: the lines switched off, as figure and look
  try {
    Object.assign(settings, JSON.parse(localStorage.getItem("studio.charts")));
  } catch { /* storage switched off in this browser: the settings then last as long as the page */ }

  function set(change) {
    Object.assign(settings, change);
    try {
      localStorage.setItem("studio.charts", JSON.stringify(settings));
    } catch { /* as above */ }
    for (const panel of panels) panel.draw();
  }

  const make = (tag, name, text = "") => Object.assign(document.createElement(tag), { className: name, textContent: text });

  // The browser lays a page out again even where what is written is what stands there.
  const write = (element, text) => { if (element.textContent !== text) element.textContent = text; };

  // ---- one figure: a head with live values, and a plot ----

  class Figure {
    constructor(panel, spec) {
      Object.assign(this, { panel, spec, plot: null });
      this.element = make("div", "chart-figure");
      this.element.dataset.figure = spec.name;
      const head = this.element.appendChild(make("div", "chart-head"));
      head.append(make("span", "chart-title", panel.word(spec.name)));
      this.entries = spec.lines.map((line) => head.appendChild(this.entry(line)));
      this.broken = head.appendChild(make("span", "chart-broken"));
      head.append(actions(this.element, (key) => panel.word(key), () => this.exported()));
      this.host = this.element.appendChild(make("div", "chart-plot"));
      this.host.setAttribute("role", "img");
      this.host.setAttribute("aria-label", panel.word(spec.name));
      this.box = new ValueBox(this.host);
      this.observer = new ResizeObserver(() => this.fit());
      this.observer.observe(this.host);
    }

    entry({ series, look }) {
      const several = this.spec.lines.length > 1, entry = make(several ? "button" : "span", "chart-entry"), word = lineWord(series, look);
      const label = [make("i", `chart-swatch chart-${look}`), make("span", "chart-label", this.panel.word(word))];
      if (several) switchable(entry, () => this.turn(look)).append(...label);
      // A text node is changed in place: setting textContent would wake the observer of the whole page at every move of the mouse.
      entry.reading = entry.appendChild(make("b", "chart-value", "–")).firstChild;
      return entry;
    }

    /** Switch a line off or on again; one always stays. */
    turn(look) {
      const key = `${this.spec.name} ${look}`, off = settings.off.filter((one) => one !== key);
      if (off.length === settings.off.length && this.spec.lines.filter((line) => this.isOn(line.look)).length > 1) off.push(key);
      set({ off });
    }

    isOn(look) { return !settings.off.includes(`${this.spec.name} ${look}`); }

    exported() {
      const names = this.spec.lines.map(({ series, look }) => `${this.panel.word(this.spec.name)}${this.spec.lines.length > 1 ? ` ${this.panel.word(lineWord(series, look))}` : ""}`);
      return { plot: this.plot, title: `${this.panel.label} ${this.panel.word(this.spec.name)}`, names: [this.panel.word(this.panel.axisName()), ...names] };
    }

    hasData() {
      return this.spec.lines.some((line) => this.panel.points(line.series).length);
    }

    columns() {
      const log = this.spec.log && settings.log;
      return uPlot.join(this.spec.lines.map(({ series, look }) => {
        const points = this.panel.points(series), raw = points.map((point) => point[1]);
        const values = look === "smoothed" ? smooth(raw, this.panel.weight()) : raw;
        return [this.panel.along(points), log ? values.map((value) => (value > 0 ? value : null)) : values];
      }));
    }

    draw() {
      const shown = this.hasData() || this.spec === FIGURES[0];
      this.element.hidden = !shown;
      const kind = `${settings.log && this.spec.log} ${this.panel.axisName()} ${settings.off}`;
      if (!shown || !this.width) return;
      if (this.kind === kind) this.plot.setData(this.columns());
      else {
        this.plot?.destroy(); // the kind of a scale is set at birth
        this.plot = new uPlot(this.options(), this.columns(), this.host);
        this.kind = kind;
      }
      this.entries.forEach((entry, index) => {
        entry.hidden = !this.panel.points(this.spec.lines[index].series).length;
        if (entry.type === "button") entry.setAttribute("aria-pressed", this.isOn(this.spec.lines[index].look));
      });
      const broken = this.panel.points(this.spec.lines[0].series).filter((point) => point[1] === null).length;
      write(this.broken, broken ? `${broken} × NaN` : "");
      this.read();
    }

    fit() {
      const { clientWidth: width, clientHeight: height } = this.host;
      Object.assign(this, { width, height });
      if (width && this.plot) this.plot.setSize({ width, height });
      this.draw(); // the theme may have changed while the figure was out of sight
    }

    /** Write the values under the cursor, or the newest ones. */
    read() {
      if (!this.plot) return;
      const [along, ...columns] = this.plot.data, { idx, idxs } = this.plot.cursor, index = idx ?? along.length - 1;
      columns.forEach((column, line) => {
        let at = idx == null ? index : idxs[line + 1] ?? index; // uPlot puts its dot on the nearest point of each line
        while (at > 0 && column[at] === undefined) at--;
        write(this.entries[line].reading, short(column[at]));
      });
      if (this.spec === FIGURES[0] || idx != null) this.panel.tellPlace(along[index]);
      this.showBox(index, idx == null);
    }

    /** The values under the cursor, in the figure that it is over. */
    showBox(index, isAway) {
      const { plot, spec, panel } = this, own = !isAway && plot.over.matches(":hover");
      const lines = own ? spec.lines.map((line, at) => [color(LOOKS[line.look].color), panel.word(spec.lines.length > 1 ? lineWord(line.series, line.look) : spec.name), plot.data[at + 1][plot.cursor.idxs[at + 1] ?? index], line]) : [];
      const told = lines.filter(([, , value, line]) => value !== undefined && this.isOn(line.look));
      this.box.show(plot, `${panel.word(panel.axisName())} ${panel.placeText(plot.data[0][index])}`, told);
    }

    options() {
      const log = Boolean(this.spec.log && settings.log), panel = this.panel;
      return {
        width: this.width, height: this.height, padding: [8, 16, 0, 0], legend: { show: false },
        scales: {
          x: { time: false, range: () => panel.range() },
          y: { distr: log ? 3 : 1, range: (_, min, max) => valueRange(min, max, log, this.spec.zero) },
        },
        axes: this.axes(log),
        series: [{}, ...this.spec.lines.map((line) => ({ ...this.series(LOOKS[line.look]), show: this.isOn(line.look) }))],
        cursor: {
          y: false,
          points: { size: 7, width: 1.5, stroke: () => color("--panel"), fill: (plot, index) => plot.series[index].stroke() },
          drag: { x: true, y: false, dist: 4, setScale: false },
          sync: { key: panel.key, scales: ["x", null], filters: { pub: (type) => type === "mousemove" || type === "mouseleave" } },
          bind: { dblclick: () => () => panel.zoomTo(null) },
        },
        hooks: { setCursor: [() => this.read()], setSelect: [(plot) => this.select(plot)], draw: [(plot) => this.markBroken(plot)] },
      };
    }

    axes(log) {
      const shared = { stroke: () => color("--ink-soft"), font: `11px ${getComputedStyle(this.host).fontFamily}` };
      const line = { show: true, stroke: () => color("--rule"), width: 1 };
      const timed = this.panel.timed(), write = (label) => (_, ticks) => (this.hasData() ? label(ticks) : ticks.map(() => ""));
      return [
        { ...shared, size: 28, gap: 4, space: timed ? 76 : 64, grid: { show: false }, border: line, ticks: { ...line, size: 4 },
          incrs: timed ? SECONDS : this.panel.axisName() === "epoch" ? EPOCHS : STEPS, values: write((ticks) => (timed ? ticks.map(elapsed) : tickLabels(ticks))) },
        { ...shared, size: 46, gap: 6, space: 36, grid: line, ticks: { show: false },
          ...(log ? { splits: (_, __, min, max) => logTicks(min, max), filter: (_, ticks) => ticks } : {}),
          values: write((ticks) => (log ? ticks.map(logLabel) : tickLabels(ticks))) },
      ];
    }

    series({ color: name, width, alpha = 1, dots = false }) {
      const stroke = () => color(name);
      const lonely = (plot, index) => dots || plot.data[index].filter((value) => value != null).length === 1;
      return { stroke, width, alpha, pxAlign: 0, points: { show: lonely, size: 6, width: 1.5, stroke, fill: () => color("--panel") } };
    }

    select(plot) {
      const { left, width } = plot.select;
      if (width < 4) return;
      plot.setSelect({ left: 0, width: 0 }, false);
      this.panel.zoomTo([plot.posToVal(left, "x"), plot.posToVal(left + width, "x")]);
    }

    /** A cross on the base line at each step whose value was no number. */
    markBroken(plot) {
      const points = this.panel.points(this.spec.lines[0].series), along = this.panel.along(points);
      const { ctx, bbox } = plot, arm = 3 * uPlot.pxRatio, bottom = bbox.top + bbox.height - 2 * arm;
      ctx.save();
      ctx.strokeStyle = color("--failed");
      ctx.lineWidth = 1.5 * uPlot.pxRatio;
      ctx.beginPath();
      points.forEach((point, index) => {
        const x = plot.valToPos(along[index], "x", true);
        if (point[1] !== null || x < bbox.left || x > bbox.left + bbox.width) return;
        ctx.moveTo(x - arm, bottom - arm); ctx.lineTo(x + arm, bottom + arm);
        ctx.moveTo(x - arm, bottom + arm); ctx.lineTo(x + arm, bottom - arm);
      });
      ctx.stroke();
      ctx.restore();
    }

    dispose() {
      this.observer.disconnect();
      this.plot?.destroy();
    }
  }

  // ---- one panel: the figures of one run, their switches, and the feed that fills them ----

  class Panel {
    constructor(element) {
      this.key = `charts-${Math.random()}`;
      this.root = make("div", "chart-panel");
      this.attach(element);
    }

    /** Live in `element` from now on. gradio replaces elements at will: the same run in a new one keeps its points and its zoom. */
    attach(element) {
      const { arg: run, words } = element.dataset;
      if (run !== this.run) this.start(run);
      if (words !== this.spoken) this.build(words);
      this.element = element;
      if (this.root.parentNode !== element) element.append(this.root);
      this.draw();
      this.ask();
    }

    start(run) {
      Object.assign(this, { run, label: run?.split("/").pop() ?? "", store: new Map(), since: 0, state: null, epochs: null, device: null,
        zoom: null, dueAt: 0, failures: 0, refusal: null });
      this.drop();
    }

    build(words) {
      this.spoken = words;
      this.words = JSON.parse(words ?? "{}");
      this.figures?.forEach((figure) => figure.dispose());
      this.figures = FIGURES.map((spec) => new Figure(this, spec));
      const grid = make("div", "chart-grid");
      grid.append(...this.figures.map((figure) => figure.element));
      this.notice = this.figures[0].host.appendChild(make("div", "chart-notice"));
      const corner = this.figures[0].host.appendChild(make("div", "chart-corner"));
      this.lost = corner.appendChild(make("span", "chart-lost chart-off", this.word("not_connected")));
      this.reset = this.button(corner, "reset_zoom", "chart-reset", () => this.zoomTo(null));
      this.root.replaceChildren(this.bar(), grid);
    }

    bar() {
      const bar = make("div", "chart-bar");
      this.place = bar.appendChild(make("span", "chart-place"));
      this.place.append(make("span", "chart-label"), make("b", "chart-value", "–"));
      this.axis = bar.appendChild(make("span", "chart-axis"));
      this.axes = Object.fromEntries(AXES.map((name) => [name, this.button(this.axis, name, "chart-switch", () => this.turn(name))]));
      this.log = this.button(bar, "log", "chart-switch chart-log", () => set({ log: !settings.log }));
      const smoothing = bar.appendChild(make("label", "chart-smoothing"));
      this.slider = Object.assign(make("input", "chart-slider"), { type: "range", min: 0, max: 0.99, step: 0.01 });
      this.slider.addEventListener("input", () => set({ weight: Number(this.slider.value) }));
      this.share = make("b", "chart-value", "0.00");
      smoothing.append(make("span", "chart-label", this.word("smooth")), this.slider, this.share);
      this.automatic = this.button(bar, "automatic", "chart-switch chart-automatic", () => set({ weight: null }));
      return bar;
    }

    button(parent, word, name, act) {
      const button = parent.appendChild(make("button", name, this.word(word)));
      button.type = "button";
      button.addEventListener("click", act);
      return button;
    }

    word(key) { return this.words[key] ?? key; }
    points(series) { return this.store.get(series) ?? []; }
    weight() { return settings.weight ?? defaultWeight(this.points("loss").length); }
    hasTimes() { return this.points("loss")[0]?.[2] != null; }
    timed() { return settings.axis === "time" && this.hasTimes(); }
    axisName() { return this.timed() ? "time" : settings.axis === "epoch" && this.epochs ? "epoch" : "step"; }

    /** Where `points` lie on the horizontal axis: their steps, epochs, or seconds, which a resumed run must not turn back. */
    along(points) {
      let last = -Infinity;
      const each = this.axisName() === "epoch" ? this.epochs : 1;
      return points.map(([step, , seconds]) => (last = this.timed() ? Math.max(seconds ?? 0, last + 1e-6) : step * each));
    }

    range() {
      if (this.zoom) return this.zoom;
      return this.whole ??= this.wholeRange();
    }

    /** From the first to the last of all points, which every figure asks for at each drawing: worked out once. */
    wholeRange() {
      const drawn = [...this.store.values()].filter((points) => points.length).map((points) => this.along(points));
      if (!drawn.length) return [0, 1];
      const first = Math.min(...drawn.map((xs) => xs[0])), last = Math.max(...drawn.map((xs) => xs[xs.length - 1]));
      return first < last ? [first, last] : [first - 1, last + 1];
    }

    turn(axis) {
      this.zoom = null;
      set({ axis });
    }

    zoomTo(range) {
      this.zoom = range;
      this.draw();
    }

    placeText(x) {
      if (x === undefined) return "–";
      return this.timed() ? elapsed(x) : this.axisName() === "epoch" ? x.toFixed(2) : WHOLE.format(x).replaceAll(",", "\u2009");
    }

    tellPlace(x) { write(this.place.lastChild.firstChild, this.placeText(x)); }

    draw() {
      this.whole = null;
      const loss = this.points("loss"), axis = this.axisName(), weight = this.weight();
      const pressed = { log: settings.log, automatic: settings.weight === null };
      for (const [name, button] of Object.entries(this.axes)) button.setAttribute("aria-pressed", name === axis);
      this.axes.epoch.hidden = !this.epochs;
      for (const [button, on] of Object.entries(pressed)) this[button].setAttribute("aria-pressed", on);
      this.axis.hidden = !this.hasTimes();
      this.reset.classList.toggle("chart-off", !this.zoom);
      write(this.place.firstChild, this.word(axis));
      if (this.slider.valueAsNumber !== weight) this.slider.value = weight; // the browser draws it anew each time
      write(this.share.firstChild, weight.toFixed(2));
      write(this.notice, this.figures[0].hasData() ? "" : this.refusal ?? this.word(FINAL.has(this.state) ? "empty" : "waiting"));
      for (const figure of this.figures) figure.draw();
      const { run, element } = this, step = loss[loss.length - 1]?.[0] ?? null;
      Object.assign(element.dataset, { points: loss.length, lastStep: step ?? "" });
      requestAnimationFrame(() => element.dispatchEvent(
        new CustomEvent("studio:drawn", { bubbles: true, detail: { run, step, at: Date.now() } })));
    }

    isUnseen() { return document.hidden || this.element.offsetParent === null; }

    /** Ask for the new points if it is time to, and take them as they come for as long as somebody looks; never two questions at once. */
    async ask() {
      if (this.isUnseen()) return void (this.since && this.drop());
      if (!this.run || this.request || Date.now() < this.dueAt) return;
      const request = this.request = new AbortController(), asked = Date.now(), isFollowed = this.since && !this.isOver();
      const taken = (answer) => {
        if (this.request !== request) return false; // the run was switched: nobody waits for this answer
        this.reached(true);
        this.take(answer);
        return isFollowed && this.since && !this.isOver() && !this.refusal;
      };
      const isAnswered = isFollowed ? await follow(this.run, this.since, this.pace(), request, taken) : await question(this.run, this.since, request, taken);
      if (this.request !== request) return;
      this.request = null;
      if (!isAnswered) this.reached(false);
      if (this.failures) this.next(Date.now() + Math.min(ASK_MS * 2 ** this.failures, BACK_OFF_MS));
      else this.next(asked + (this.isOver() || this.refusal ? REST_MS : this.pace()));
    }

    reached(isReached) {
      this.failures = isReached ? 0 : this.failures + 1;
      this.lost.classList.toggle("chart-off", this.failures < 2);
    }

    drop() {
      this.request?.abort();
      this.request = null;
    }

    /** Ask at a moment: the clock of all panels ticks each ASK_MS, which is late for one that knows when it wants to. */
    next(at) {
      this.dueAt = at;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => { this.dueAt = 0; this.ask(); }, Math.max(0, at - Date.now()));
    }

    isOver() { return FINAL.has(this.state); }

    /** Whether it trains on this processor, as far as is known: those of other programs, which do not say it, may. */
    isOnProcessor() { return this.device === "cpu" || !this.device && this.points("loss").length > 0; }

    /** How long the run is left alone after a question (ms): each, with the drawing after it, takes time from a run that trains on
        this processor. */
    pace() { return this.isOnProcessor() ? CALM_MS : ASK_MS; }

    take(answer) {
      this.refusal = answer.refusal ?? null;
      if (this.refusal) return this.draw();
      if (answer.reset) return void Object.assign(this, { store: new Map(), since: 0 }); // the next question is for the whole history
      const news = Object.entries(answer.series).filter(([name, points]) => KEPT.has(name) && points.length);
      const first = this.state === null, ended = FINAL.has(answer.state) !== this.isOver();
      for (const [name, points] of news) this.store.set(name, append(this.points(name), points));
      Object.assign(this, { since: answer.next, state: answer.state, label: answer.label ?? this.label, epochs: answer.epochs_per_step ?? this.epochs, device: answer.device ?? this.device });
      // Before the drawing: whoever asks what is in sight after it has the browser lay the page out twice.
      this.tell(news.length, ended);
      if (news.length || first || ended) this.draw();
    }

    /** Tell the rest of the page, which asks for what else has changed. */
    tell(isNew, ended) {
      if (!window.studio) return;
      if (this.isOnProcessor()) window.studio.calmUntil = this.isOver() ? 0 : Date.now() + this.pace() + 1000 * WAIT_S + 2000;
      if (ended) window.studio.refresh();
      else if (isNew) window.studio.beat();
    }

    dispose() {
      clearTimeout(this.timer);
      this.drop();
      this.figures.forEach((figure) => figure.dispose());
      this.root.remove();
    }
  }

  // ---- the page ----

  const panels = new Set();
  const swatch = make("i", "chart-probe"), colors = new Map();  // those of the theme, which is looked up once

  /** A CSS variable of the theme as the canvas can use it, now. */
  function color(name) {
    if (!colors.has(name)) {
      swatch.style.color = `var(${name})`;
      colors.set(name, getComputedStyle(swatch).color);
    }
    return colors.get(name);
  }

  /** Give each `.charts[data-arg]` element its panel: a panel whose element is gone moves into a new one, or is disposed of. */
  function scan() {
    const elements = [...document.querySelectorAll(".charts[data-arg]")];
    const homeless = new Set([...panels].filter((panel) => !elements.includes(panel.element)));
    for (const element of elements) {
      const own = [...panels].find((panel) => panel.element === element);
      if (own && own.run === element.dataset.arg && own.spoken === element.dataset.words && own.root.parentNode === element) continue;
      const panel = own ?? [...homeless].find((one) => one.run === element.dataset.arg) ?? [...homeless][0];
      homeless.delete(panel);
      if (panel) panel.attach(element);
      else panels.add(new Panel(element));
    }
    for (const panel of homeless) {
      panel.dispose();
      panels.delete(panel);
    }
  }

  const tick = () => panels.forEach((panel) => panel.ask());
  const redraw = () => {
    colors.clear();
    panels.forEach((panel) => panel.draw());
  };

  function begin() {
    document.body.append(swatch);
    new MutationObserver(scan).observe(document.body, {
      childList: true, subtree: true, attributes: true, attributeFilter: ["data-arg", "data-words"] });
    new MutationObserver(redraw).observe(document.body, { attributes: true, attributeFilter: ["class"] });
    document.addEventListener("visibilitychange", tick);
    setInterval(tick, ASK_MS);
    scan();
  }

  window.studioCharts = { scan, panels };
  if (document.body) begin();
  else document.addEventListener("DOMContentLoaded", begin);
})();
