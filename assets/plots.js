// Plots whose points come with the page: `[data-plot]`, JSON of {title, across, unit, places, lines, rows, row, square, zero, words};
// a line has {name, number, look, values, scale}. The same tools as the plots of a run (chart_tools.js). A live region's plots are
// drawn when it is (live.js).
(() => {
  "use strict";
  const { short, tickLabels, valueRange } = window.chartPoints;
  const { ValueBox, actions, switchable, make, colour } = window.chartTools;
  const SQUARE = 300, HEIGHT = 220, FEW = 60;
  const STEPS = Array.from({ length: 54 }, (_, index) => [1, 2, 5][index % 3] * 10 ** (Math.floor(index / 3) - 6)), WHOLE = STEPS.filter((one) => one >= 1);
  const plots = new Map();

  class Plot {
    constructor(element) {
      Object.assign(this, { element, plot: null, off: new Set() });
      this.head = make("div", "plot-head");
      this.legend = this.head.appendChild(make("div", "plot-legend"));
      this.host = make("div", "plot-host");
      this.host.setAttribute("role", "img");
      this.read();
      this.head.append(actions(element, (key) => this.data.words[key], () => this.exported()));
      this.observer = new ResizeObserver(() => (this.plot ? this.plot.setSize(this.size()) : this.draw()));
      this.observer.observe(this.host);
      this.place();
    }

    place() { this.element.replaceChildren(this.head, this.host); }

    /** Take the points as they are now; tell whether they are others. */
    read() {
      if (this.text === this.element.dataset.plot) return false;
      this.text = this.element.dataset.plot;
      this.data = JSON.parse(this.text);
      this.host.setAttribute("aria-label", this.data.title);
      return true;
    }

    size() {
      const width = this.host.clientWidth, full = document.fullscreenElement === this.element;
      if (this.data.square) { const side = full ? Math.min(width, innerHeight - 80) : Math.min(width, SQUARE); return { width: side, height: side }; }
      return { width, height: full ? innerHeight - 80 : HEIGHT };
    }

    /** The ends of both axes of a square plot. */
    ends() {
      const known = [this.data.places, ...this.data.lines.map(({ values }) => values)].flat().filter((one) => one != null);
      return valueRange(Math.min(...known), Math.max(...known), false, false);
    }

    /** The values of the lines; a stair ends where its last step does, and what is to be compared with goes from end to end. */
    columns() {
      const { places, lines, square } = this.data;
      if (square) {
        const [low, high] = this.ends();
        return [[low, ...places, high], ...lines.map(({ look, values }) => (look === "faint" ? [low, ...values, high] : [null, ...values, null]))];
      }
      return [places, ...lines.map(({ values }) => (values.length < places.length ? [...values, values.at(-1)] : values))];
    }

    exported() {
      const { title, across, places, lines, rows, row } = this.data;
      const told = lines.filter(({ look }) => look !== "faint"), steps = told.map(({ values }) => values);
      const columns = rows.length ? [rows, places, ...steps] : [places.slice(0, Math.max(...steps.map((one) => one.length))), ...steps];
      return { plot: this.plot, title, columns, names: [...(rows.length ? [row] : []), across, ...told.map(({ name }) => name)] };
    }

    draw() {
      if (!this.host.clientWidth) return;
      this.plot?.destroy();
      this.host.replaceChildren();
      this.write();
      this.box = new ValueBox(this.host);
      const { lines, zero, square } = this.data, axis = { stroke: colour("--ink-soft"), font: "11px sans-serif" }, rule = { show: true, stroke: colour("--rule"), width: 1 };
      const ends = square && this.ends();
      const range = (_, min, max) => ends || valueRange(min, max, false, zero), right = lines.some(({ scale }) => scale === "right");
      const marks = (_, ticks) => tickLabels(ticks);
      this.plot = new uPlot({
        ...this.size(), padding: [8, right ? 0 : 16, 0, 0], legend: { show: false },
        cursor: { y: square, drag: { x: !square, y: false } },
        scales: { x: { time: false, ...(square ? { range } : {}) }, y: { range }, ...(right ? { right: { range: (_, min, max) => valueRange(min, max, false, false) } } : {}) },
        axes: [{ ...axis, grid: { show: square, ...rule }, ticks: rule, values: marks, incrs: STEPS, label: square ? this.data.across : undefined, labelSize: 18, labelFont: "11px sans-serif" },
          { ...axis, size: 46, grid: rule, ticks: { show: false }, values: marks, incrs: lines[0].look === "stairs" ? WHOLE : STEPS },
          ...(right ? [{ ...axis, scale: "right", side: 1, size: 46, grid: { show: false }, ticks: { show: false }, values: marks, incrs: STEPS }] : [])],
        series: [{}, ...lines.map((line, index) => this.series(line, index))],
        hooks: { setCursor: [() => this.tell()] },
      }, this.columns(), this.host);
      this.element.dataset.drawn = lines.length;
    }

    series({ look, values, scale }, index) {
      const stroke = this.colours[index], shared = { scale, stroke, show: !this.off.has(index), width: 1.5, points: { show: false } };
      if (look === "dots") return { ...shared, alpha: 0.6, dots: true, paths: () => null, points: { show: true, size: 5, width: 0, fill: stroke } };
      if (look === "faint") return { ...shared, width: 1 };
      if (look === "stairs") return { ...shared, stairs: true, fill: `${stroke}33`, paths: uPlot.paths.stepped({ align: 1 }) };
      return { ...shared, spanGaps: true, points: { show: values.filter((one) => one != null).length <= FEW, size: 6, fill: stroke } };
    }

    /** The legend: what is drawn to be compared with has no entry, and a line alone cannot be switched off. */
    write() {
      const { lines } = this.data, several = lines.filter(({ look }) => look !== "faint").length > 1;
      this.legend.replaceChildren();
      this.colours = lines.map(({ name, number, look }, index) => {
        if (look === "faint") return colour("--ink-soft");
        const entry = this.legend.appendChild(make(several ? "button" : "span", "plot-entry")), swatch = entry.appendChild(make("i", `key key-${number}`));
        if (several) switchable(entry, () => this.turn(index)).setAttribute("aria-pressed", !this.off.has(index));
        entry.append(name);
        return getComputedStyle(swatch).getPropertyValue("--key").trim();
      });
    }

    turn(index) {
      this.off[this.off.has(index) ? "delete" : "add"](index);
      this.draw();
      this.legend.querySelectorAll("button")[index]?.focus();
    }

    tell() {
      if (!this.plot) return;
      const { across, unit, places, lines, rows, row, square } = this.data, { idx, left } = this.plot.cursor;
      if (idx == null) { this.box.show(this.plot, "", []); return; }
      const stairs = lines[0].look === "stairs", place = this.plot.posToVal(left, "x");
      const at = stairs ? Math.max(0, Math.min(places.findLastIndex((one) => one <= place), places.length - 2)) : square ? Math.max(0, Math.min(idx - 1, places.length - 1)) : idx;
      const head = square ? `${row} ${rows[at]}` : `${across} ${stairs ? `${short(places[at])} – ${short(places[at + 1])}${unit}` : places[at]}`;
      const told = lines.map(({ name, values, scale }, index) => [this.colours[index], name, stairs ? String(values[at]) : `${short(values[at])}${scale === "right" ? "" : unit}`, values[at]]);
      this.box.show(this.plot, head, told.filter(([, , , value], index) => value != null && !this.off.has(index)));
    }
  }

  /** Draw the plots in an element, new ones and those whose points are others, and forget those that are gone. */
  function draw(root) {
    for (const [element, plot] of plots) if (!element.isConnected) { plot.observer.disconnect(); plot.plot?.destroy(); plots.delete(element); }
    for (const element of root.querySelectorAll("[data-plot]")) {
      const known = plots.get(element);
      if (!known) plots.set(element, new Plot(element));
      else if (!known.host.isConnected) { known.place(); known.off.clear(); known.read(); known.draw(); }
      else if (known.read()) known.draw();
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    let dark = document.body.classList.contains("dark");
    new MutationObserver(() => {
      if (dark === document.body.classList.contains("dark")) return;
      dark = !dark;
      plots.forEach((plot) => plot.draw());
    }).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  });
  window.plots = { draw };
})();
