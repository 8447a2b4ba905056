// Several runs laid over each other: `.compare-chart[data-arg="a|b|c"]`, their loss by step, epoch or time. Smoothed as the slider
// says, with what was measured faint behind it; the same tools as the plots of one run (chart_tools.js).
(() => {
  "use strict";
  const COLOURS = ["#0f8f83", "#c2571a", "#5b63c7", "#a8327f", "#7c8a17", "#2f7fc1", "#8a5a2b", "#6b7280"];
  const { smooth, short, tickLabels, logTicks, logLabel, elapsed, valueRange } = window.chartPoints;
  const { ValueBox, actions, switchable } = window.chartTools;
  const css = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
  const make = (tag, name, text = "") => Object.assign(document.createElement(tag), { className: name, textContent: text });
  const charts = new WeakMap();
  const REFUSED = { series: {}, state: null };  // deleted since: it is not asked for again

  class Comparison {
    constructor(element) {
      Object.assign(this, { element, names: "", series: [], plot: null, log: false, axis: "step", weight: 0.6, off: new Set() });
      this.words = JSON.parse(element.dataset.words);
      this.figure = make("div", "compare-figure");
      this.legend = make("div", "compare-legend");
      this.host = make("div", "compare-plot");
      this.figure.append(this.bar(), this.legend, this.host);
      element.replaceChildren(this.figure);
      new ResizeObserver(() => this.plot?.setSize(this.size())).observe(this.host);
    }

    bar() {
      const bar = make("div", "chart-bar compare-bar");
      this.switches = Object.fromEntries(["step", "epoch", "time", "log"].map((name) => {
        const button = bar.appendChild(make("button", "button small", this.words[name]));
        button.type = "button";
        button.onclick = () => { if (name === "log") this.log = !this.log; else this.axis = name; this.draw(); };
        return [name, button];
      }));
      const label = bar.appendChild(make("label", "chart-smoothing")), share = make("b", "num", this.weight.toFixed(2));
      const slider = Object.assign(make("input", "chart-slider"), { type: "range", min: 0, max: 0.99, step: 0.01, value: this.weight });
      slider.oninput = () => { this.weight = Number(slider.value); share.textContent = this.weight.toFixed(2); this.draw(); };
      label.append(this.words.smooth, slider, share);
      bar.append(actions(this.figure, (key) => this.words[key], () => ({
        plot: this.plot, title: this.words.loss, names: [this.words[this.axis], ...this.series.flatMap((one) => [`${nameOf(one)} ${this.words.raw}`, `${nameOf(one)} ${this.words.smoothed}`])] })));
      return bar;
    }

    size() { return { width: this.host.clientWidth, height: document.fullscreenElement === this.figure ? innerHeight - 120 : 320 }; }

    async load(names) {
      this.names = names;
      const runs = names.split("|").filter(Boolean);
      const answers = await Promise.all(runs.map((run) => window.studio.call("train_metrics", run, 0).catch((error) => (error instanceof window.studio.Unreached ? null : REFUSED))));
      if (names !== this.names) return;
      this.series = runs.map((run, index) => this.seriesOf(run, answers[index]));
      this.draw();
    }

    /** What is drawn of a run: what is known of it where the studio gave no answer. One that never had any is asked for again. */
    seriesOf(run, answer) {
      if (!answer) return this.series.find((one) => one.run === run) ?? { run, points: [], state: undefined };
      return { run, points: answer.series.loss ?? [], state: answer.state, label: answer.label, epochs: answer.epochs_per_step };
    }

    live() { return this.series.some(({ state }) => [undefined, "queued", "preparing", "running", "stopping"].includes(state)); }

    has(axis) { return axis === "step" || axis === "log" || this.series.some(({ points, epochs }) => (axis === "epoch" ? epochs : points[0]?.[2] != null)); }

    place([step, , seconds], epochs) { return this.axis === "time" ? seconds ?? 0 : this.axis === "epoch" ? step * (epochs ?? 0) : step; }

    /** Two lines a run: as measured, and smoothed. */
    columns() {
      const shown = (values) => (this.log ? values.map((value) => (value > 0 ? value : null)) : values);
      return uPlot.join(this.series.flatMap(({ points, epochs }) => {
        const raw = points.map((point) => (typeof point[1] === "number" ? point[1] : null)), places = points.map((point) => this.place(point, epochs));
        return [[places, shown(raw)], [places, shown(smooth(raw, this.weight))]];
      }));
    }

    draw() {
      if (!this.has(this.axis)) this.axis = "step";
      for (const [name, button] of Object.entries(this.switches)) {
        button.hidden = !this.has(name);
        button.setAttribute("aria-pressed", name === "log" ? this.log : name === this.axis);
      }
      if (!this.host.clientWidth || !this.series.length) return;
      this.plot?.destroy();
      this.host.replaceChildren();
      this.box = new ValueBox(this.host);
      const line = { show: true, stroke: css("--rule"), width: 1 }, axis = { stroke: css("--ink-soft"), font: "11px sans-serif" };
      this.plot = new uPlot({
        ...this.size(), legend: { show: false }, cursor: { y: false, drag: { x: true, y: false } },
        scales: { x: { time: false }, y: { distr: this.log ? 3 : 1, range: (_, min, max) => valueRange(min, max, this.log, false) } },
        axes: [{ ...axis, grid: { show: false }, ticks: line, values: (_, ticks) => (this.axis === "time" ? ticks.map(elapsed) : tickLabels(ticks)) },
          { ...axis, size: 46, grid: line, ticks: { show: false }, ...(this.log ? { splits: (_, __, min, max) => logTicks(min, max), filter: (_, t) => t } : {}),
            values: (_, ticks) => (this.log ? ticks.map(logLabel) : tickLabels(ticks)) }],
        series: [{}, ...this.series.flatMap(({ run }, index) => {
          const look = { stroke: COLOURS[index % COLOURS.length], spanGaps: true, points: { show: false }, show: !this.off.has(run) };
          return [{ ...look, width: 1, alpha: 0.3 }, { ...look, width: 1.75 }];
        })],
        hooks: { setCursor: [() => this.tell()] },
      }, this.columns(), this.host);
      this.element.dataset.lines = this.series.filter(({ points }) => points.length).length;
      this.write();
    }

    /** The values of the lines that are on at a place of the axis, the last ones where there is none; null where it was no number. */
    values(index, step) {
      return this.series.map((_, at) => {
        const column = this.plot.data[2 * at + step] ?? [];
        let place = index ?? column.length - 1;
        while (place > 0 && column[place] === undefined) place--;
        return column[place];
      });
    }

    tell() {
      if (!this.plot) return;
      const { cursor, data } = this.plot, index = cursor.idx, place = data[0][index];
      const told = index == null ? [] : this.values(index, 2).map((value, at) => [COLOURS[at % COLOURS.length], nameOf(this.series[at]), value]);
      const text = this.axis === "time" ? elapsed(place ?? 0) : this.axis === "epoch" ? place?.toFixed(2) : place;
      this.box.show(this.plot, `${this.words[this.axis]} ${text}, ${this.words.smoothed}`, told.filter((_, at) => !this.off.has(this.series[at].run)));
    }

    write() {
      const last = this.values(null, 1);
      this.legend.replaceChildren(...this.series.map((one, index) => {
        const entry = switchable(make("button", "compare-entry"), () => { this.off[this.off.has(one.run) ? "delete" : "add"](one.run); this.draw(); });
        entry.setAttribute("aria-pressed", !this.off.has(one.run));
        const dot = make("i", "dot");
        dot.style.background = COLOURS[index % COLOURS.length];
        entry.append(dot, ` ${nameOf(one)} `, make("b", "num", short(last[index])));
        return entry;
      }));
    }
  }

  const nameOf = ({ run, label }) => label ?? run.split("/").pop();

  let ticks = 0;
  setInterval(() => {
    ticks += 1;
    if (document.hidden || document.body.dataset.train !== "compare") return;
    for (const element of document.querySelectorAll(".compare-chart")) {
      if (element.offsetParent === null) continue;
      if (!charts.has(element)) charts.set(element, new Comparison(element));
      const chart = charts.get(element), names = element.dataset.arg ?? "";
      if (names !== chart.names || (chart.live() && ticks % 8 === 0)) chart.load(names);
    }
  }, 400);
})();
