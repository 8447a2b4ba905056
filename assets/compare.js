// Several runs laid over each other: `.compare-chart[data-arg="a|b|c"]`, loss (smoothed or raw) or eval loss by step.
(() => {
  "use strict";
  const COLOURS = ["#0f8f83", "#c2571a", "#5b63c7", "#a8327f", "#7c8a17", "#2f7fc1", "#8a5a2b", "#6b7280"];
  const { smooth, short, tickLabels, logTicks, logLabel, valueRange } = window.chartPoints;
  const css = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
  const charts = new WeakMap();

  class Comparison {
    constructor(element) {
      Object.assign(this, { element, names: "", series: [], plot: null, log: false });
      const words = JSON.parse(element.dataset.words);
      const button = Object.assign(document.createElement("button"), { className: "button small", textContent: words.log, type: "button" });
      button.onclick = () => { this.log = !this.log; button.classList.toggle("primary", this.log); this.draw(); };
      this.legend = Object.assign(document.createElement("div"), { className: "compare-legend" });
      this.host = Object.assign(document.createElement("div"), { className: "compare-plot" });
      element.replaceChildren(button, this.legend, this.host);
      new ResizeObserver(() => this.plot?.setSize(this.size())).observe(this.host);
    }

    size() { return { width: this.host.clientWidth, height: 320 }; }

    async load(names) {
      this.names = names;
      const runs = names.split("|").filter(Boolean);
      const answers = await Promise.all(runs.map((run) => window.studio.call("train_metrics", run, 0).catch(() => null)));
      if (names !== this.names) return;
      this.series = runs.map((run, index) => ({ run, points: answers[index]?.series.loss ?? [], state: answers[index]?.state }));
      this.draw();
    }

    live() { return this.series.some(({ state }) => ["queued", "preparing", "running", "stopping"].includes(state)); }

    columns() {
      return uPlot.join(this.series.map(({ points }) => {
        const values = smooth(points.map((point) => (typeof point[1] === "number" ? point[1] : null)), 0.6);
        return [points.map((point) => point[0]), this.log ? values.map((value) => (value > 0 ? value : null)) : values];
      }));
    }

    draw() {
      if (!this.host.clientWidth || !this.series.length) return;
      this.plot?.destroy();
      const line = { show: true, stroke: css("--rule"), width: 1 }, axis = { stroke: css("--ink-soft"), font: "11px sans-serif" };
      this.plot = new uPlot({
        ...this.size(), legend: { show: false }, cursor: { y: false, drag: { x: true, y: false } },
        scales: { x: { time: false }, y: { distr: this.log ? 3 : 1, range: (_, min, max) => valueRange(min, max, this.log, false) } },
        axes: [{ ...axis, grid: { show: false }, ticks: line, values: (_, ticks) => tickLabels(ticks) },
          { ...axis, size: 46, grid: line, ticks: { show: false }, ...(this.log ? { splits: (_, __, min, max) => logTicks(min, max), filter: (_, t) => t } : {}),
            values: (_, ticks) => (this.log ? ticks.map(logLabel) : tickLabels(ticks)) }],
        series: [{}, ...this.series.map((_, index) => ({ stroke: COLOURS[index % COLOURS.length], width: 1.75, spanGaps: true, points: { show: false } }))],
        hooks: { setCursor: [() => this.tell()] },
      }, this.columns(), this.host);
      this.element.dataset.lines = this.series.filter(({ points }) => points.length).length;
      this.tell();
    }

    tell() {
      const { data, cursor } = this.plot;
      this.legend.replaceChildren(...this.series.map(({ run }, index) => {
        const column = data[index + 1] ?? [];
        let at = cursor.idx ?? column.length - 1;
        while (at > 0 && column[at] == null) at--;
        const entry = document.createElement("span");
        const dot = Object.assign(document.createElement("i"), { className: "dot" });
        dot.style.background = COLOURS[index % COLOURS.length];
        entry.append(dot, ` ${run.split("/").pop()} `, Object.assign(document.createElement("b"), { className: "num", textContent: short(column[at]) }));
        return entry;
      }));
    }
  }

  let ticks = 0;
  setInterval(() => {
    ticks += 1;
    if (document.hidden) return;
    for (const element of document.querySelectorAll(".compare-chart")) {
      if (element.offsetParent === null) continue;
      if (!charts.has(element)) charts.set(element, new Comparison(element));
      const chart = charts.get(element), names = element.dataset.arg ?? "";
      if (names !== chart.names || (chart.live() && ticks % 8 === 0)) chart.load(names);
    }
  }, 400);
})();
