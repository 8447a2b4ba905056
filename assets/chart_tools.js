// What every plot has, of one run or of several: a box with the values at the cursor, lines that are switched by their legend, and
// its points as CSV, its picture as PNG and SVG, full screen. For uPlot; wants chart_points.js before it. A series may say that it is
// drawn as `dots`, or as `stairs` whose steps begin at their places.
(() => {
  "use strict";
  const { short } = window.chartPoints;
  const SVG = "http://www.w3.org/2000/svg";
  const make = (tag, name, text = "") => Object.assign(document.createElement(tag), { className: name, textContent: text });

  /** A box at the cursor of a plot in `host`: where it stands, and `lines` of [colour, name, value], a number or as it is written. */
  class ValueBox {
    constructor(host) {
      this.element = host.appendChild(make("div", "chart-box"));
      this.element.hidden = true;
    }

    show(plot, head, lines) {
      const { left, top } = plot.cursor;
      if (left == null || left < 0 || !lines.length) { this.element.hidden = true; return; }
      this.element.replaceChildren(make("b", "", head), ...lines.map(([colour, name, value]) => {
        const line = make("span", ""), dot = line.appendChild(make("i", "dot"));
        dot.style.background = colour;
        line.append(name, make("b", "num", typeof value === "string" ? value : short(value)));
        return line;
      }));
      this.element.hidden = false;
      const over = plot.over, beside = left > over.clientWidth / 2 ? left - this.element.offsetWidth - 12 : left + 12;
      this.element.style.left = `${Math.max(0, Math.min(over.offsetLeft + beside, this.element.parentNode.clientWidth - this.element.offsetWidth))}px`;
      this.element.style.top = `${Math.max(0, Math.min(over.offsetTop + top, over.clientHeight - this.element.offsetHeight))}px`;
    }
  }

  function save(name, kind, parts) {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(new Blob(parts, { type: kind })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  /** The points of a plot, a row for each place on its axis; `names` are those of the columns. As CSV is written in Python
      (core/storage/csv_text.py): Excel reads it as UTF-8, and a table program computes no name. */
  function csv([places, ...columns], names) {
    const safe = (value) => (/^[=+\-@\t\r]/.test(value) ? `'${value}` : value);
    const quoted = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
    const rows = places.map((place, at) => [place, ...columns.map((column) => column[at] ?? "")].join(","));
    return `\ufeff${[names.map((name) => quoted(safe(name))).join(","), ...rows, ""].join("\n")}`;
  }

  /** The plot as it stands, on its ground, with its title above. */
  function picture(plot, title, colours) {
    const from = plot.ctx.canvas, ratio = uPlot.pxRatio, head = 26 * ratio;
    const canvas = Object.assign(document.createElement("canvas"), { width: from.width, height: from.height + head }), ctx = canvas.getContext("2d");
    ctx.fillStyle = colours.ground;
    ctx.fillRect(0, 0, canvas.width, canvas.height);
    ctx.fillStyle = colours.ink;
    ctx.font = `600 ${13 * ratio}px sans-serif`;
    ctx.fillText(title, 8 * ratio, 18 * ratio);
    ctx.drawImage(from, 0, head);
    return canvas;
  }

  /** The same as lines that can be drawn at any size. */
  function drawing(plot, title, colours, names) {
    const { width, height } = plot, { left, top, width: wide, height: high } = plot.bbox, ratio = uPlot.pxRatio, head = 26;
    const svg = document.createElementNS(SVG, "svg"), add = (tag, values, text) => {
      const element = svg.appendChild(document.createElementNS(SVG, tag));
      for (const [key, value] of Object.entries(values)) element.setAttribute(key, value);
      if (text !== undefined) element.textContent = text;
    };
    svg.setAttribute("xmlns", SVG);
    svg.setAttribute("viewBox", `0 0 ${width} ${height + head}`);
    add("rect", { width, height: height + head, fill: colours.ground });
    add("text", { x: 8, y: 18, fill: colours.ink, "font-family": "sans-serif", "font-size": 13, "font-weight": 600 }, title);
    const x0 = left / ratio, y0 = top / ratio + head, x1 = x0 + wide / ratio, y1 = y0 + high / ratio, small = { fill: colours.soft, "font-family": "sans-serif", "font-size": 11 };
    const [across, up, right] = plot.axes;
    (right?._splits ?? []).forEach((value, at) => add("text", { ...small, x: x1 + 6, y: plot.valToPos(value, right.scale) + y0 + 4 }, right._values?.[at] ?? value));
    (up._splits ?? []).forEach((value, at) => {
      const y = plot.valToPos(value, "y") + y0;
      if (y < y0 - 1 || y > y1 + 1) return;
      add("line", { x1: x0, x2: x1, y1: y, y2: y, stroke: colours.rule });
      add("text", { ...small, x: x0 - 6, y: y + 4, "text-anchor": "end" }, up._values?.[at] ?? value);
    });
    (across._splits ?? []).forEach((value, at) => add("text", { ...small, x: plot.valToPos(value, "x") + x0, y: y1 + 16, "text-anchor": "middle" }, across._values?.[at] ?? value));
    plot.series.slice(1).forEach((line, index) => {
      if (!line.show) return;
      const points = plot.data[0].flatMap((place, at) => {
        const value = plot.data[index + 1][at], x = plot.valToPos(place, "x") + x0;
        return value == null || x < x0 - 1 || x > x1 + 1 ? [] : [[x.toFixed(1), (plot.valToPos(value, line.scale) + y0).toFixed(1)]];
      });
      const stroke = line._stroke ?? colours.ink;
      if (line.dots) points.forEach(([cx, cy]) => add("circle", { cx, cy, r: 2.5, fill: stroke, "fill-opacity": line.alpha ?? 1 }));
      else {
        const corners = line.stairs ? points.flatMap(([x, y], at) => (at ? [`${x},${points[at - 1][1]}`, `${x},${y}`] : [`${x},${y}`])) : points.map((one) => one.join(","));
        add("polyline", { points: corners.join(" "), fill: "none", stroke, "stroke-width": line.width, "stroke-opacity": line.alpha ?? 1 });
      }
      if (plot.series.length > 2) add("text", { ...small, fill: stroke, x: x1 - 4, y: y0 + 14 + 14 * index, "text-anchor": "end" }, names[index + 1]);
    });
    return new XMLSerializer().serializeToString(svg);
  }

  /** The buttons of a plot. `of` returns {plot, title, names} as they are when one is pressed, and `columns` where the points that
      are given away are others than those that are drawn. */
  function actions(figure, word, of) {
    const bar = make("span", "chart-actions"), css = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
    const deeds = {
      csv: ({ plot, title, names, columns }) => save(`${title}.csv`, "text/csv", [csv(columns ?? plot.data, names)]),
      png: ({ plot, title, colours }) => picture(plot, title, colours).toBlob((blob) => save(`${title}.png`, "image/png", [blob])),
      svg: ({ plot, title, colours, names }) => save(`${title}.svg`, "image/svg+xml", [drawing(plot, title, colours, names)]),
      full_screen: () => (document.fullscreenElement ? document.exitFullscreen() : figure.requestFullscreen()),
    };
    for (const [name, deed] of Object.entries(deeds)) {
      const button = bar.appendChild(make("button", `chart-${name}`, name === "full_screen" ? "⤢" : name.toUpperCase()));
      Object.assign(button, { type: "button", title: word(name), ariaLabel: word(name) });
      button.addEventListener("click", () => {
        const now = of(), colours = { ground: css("--panel") || "#fff", ink: css("--ink") || "#000", soft: css("--ink-soft") || "#666", rule: css("--rule") || "#ddd" };
        if (now.plot) deed({ ...now, colours });
      });
    }
    return bar;
  }

  /** An entry of a legend that switches its line on and off. */
  function switchable(entry, turn) {
    Object.assign(entry, { type: "button" });
    entry.addEventListener("click", () => turn());
    return entry;
  }

  // A plot that Python drew: its lines are styled by the page, and take their styles along.
  const KEPT = ["fill", "stroke", "stroke-width", "opacity", "font-family", "font-size", "font-weight", "text-anchor", "paint-order"];

  /** A drawn plot as a picture of its own, on its ground, with its title above. */
  function ofDrawn(from, title) {
    const head = 26, width = from.width.baseVal.value, height = from.height.baseVal.value + head, svg = from.cloneNode(true);
    const copies = svg.querySelectorAll("*");
    from.querySelectorAll("*").forEach((element, at) => {
      const style = getComputedStyle(element);
      for (const name of KEPT) copies[at].setAttribute(name, style.getPropertyValue(name));
    });
    const ground = document.createElementNS(SVG, "rect"), text = document.createElementNS(SVG, "text");
    for (const [key, value] of Object.entries({ y: -head, width, height, fill: colour("--panel") || "#fff" })) ground.setAttribute(key, value);
    for (const [key, value] of Object.entries({ x: 8, y: 18 - head, fill: colour("--ink") || "#000", "font-family": "sans-serif", "font-size": 13, "font-weight": 600 })) text.setAttribute(key, value);
    text.textContent = title;
    svg.prepend(ground, text);
    for (const [key, value] of Object.entries({ xmlns: SVG, width, height, viewBox: `0 ${-head} ${width} ${height}` })) svg.setAttribute(key, value);
    return { text: new XMLSerializer().serializeToString(svg), width, height };
  }

  async function savePicture(from, title, form) {
    const { text, width, height } = ofDrawn(from, title);
    if (form === "svg") return save(`${title}.svg`, "image/svg+xml", [text]);
    const ratio = Math.max(2, devicePixelRatio), image = new Image(width, height);
    image.src = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: width * ratio, height: height * ratio });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    URL.revokeObjectURL(image.src);
    canvas.toBlob((blob) => save(`${title}.png`, "image/png", [blob]));
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-picture]"), drawn = button?.closest(".drawn")?.querySelector("svg");
    if (drawn) savePicture(drawn, drawn.getAttribute("aria-label"), button.dataset.picture);
  });

  const colour = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();

  window.chartTools = { ValueBox, actions, switchable, make, colour };
})();
