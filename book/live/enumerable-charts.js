// Line charts in SVG: a legend that says the newest values, the run before in grey. Colours come from the style sheet;
// lines differ in dash as well as in colour.
"use strict";
(() => {
  const WIDTH = 420, HEIGHT = 210, LEFT = 44, RIGHT = 8, TOP = 16, BOTTOM = 24;
  const DASHES = ["", "7 3", "2 3"];
  let count = 0;

  function svg(tag, attributes = {}, text = "") {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text) made.textContent = text;
    return made;
  }

  // options: series {key: title}, low, high, ticks [numbers], log, reference {title, value}, format(value)
  class Chart {
    constructor(figure, options) {
      Object.assign(this, { format: (v) => v.toFixed(3), log: false, reference: null }, options);
      this.keys = Object.keys(this.series);
      this.legend = Object.assign(document.createElement("div"), { className: "shop-legend" });
      this.values = {};
      const entry = (title, value, line) => {
        const made = document.createElement("span"), sample = svg("svg", { width: 26, height: 10, "aria-hidden": "true" });
        sample.append(svg("line", { x1: 0, x2: 26, y1: 5, y2: 5, ...line }));
        made.append(sample, ` ${title} `, value);
        this.legend.append(made);
      };
      this.keys.forEach((key, n) => {
        this.values[key] = document.createElement("b");
        entry(this.series[key], this.values[key], { class: `shop-line shop-line-${n}`, "stroke-dasharray": DASHES[n] });
      });
      if (this.reference) entry(this.reference.title, this.format(this.reference.value), { class: "shop-reference" });
      this.plot = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
      figure.append(this.legend, this.plot);
      this.clip = `shop-clip-${++count}`;
    }

    x(step) { return LEFT + step / this.steps * (WIDTH - LEFT - RIGHT); }
    y(value) {
      const scale = this.log ? Math.log : (v) => v;
      const share = (scale(value) - scale(this.low)) / (scale(this.high) - scale(this.low));
      return TOP + (1 - Math.max(-0.1, Math.min(1.1, share))) * (HEIGHT - TOP - BOTTOM);
    }

    // Axes and the marks of stages [{from, title}] of a run of so many steps, and the run before: rows {step, ...values}.
    begin(steps, stages, before) {
      this.steps = Math.max(steps, 1);
      this.before = before;
      const box = svg("clipPath", { id: this.clip });
      box.append(svg("rect", { x: LEFT, y: TOP, width: WIDTH - LEFT - RIGHT, height: HEIGHT - TOP - BOTTOM }));
      this.plot.replaceChildren(box);
      for (const tick of this.ticks) {
        const y = this.y(tick);
        this.plot.append(svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y, class: "shop-grid" }),
          svg("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, String(tick)));
      }
      let free = -Infinity; // where the last title ended: stages that are too short for theirs go without
      for (const { from, title } of stages) {
        if (from) this.plot.append(svg("line", { x1: this.x(from), x2: this.x(from), y1: TOP, y2: HEIGHT - BOTTOM, class: "shop-stage" }));
        if (this.x(from) < free) continue;
        this.plot.append(svg("text", { x: this.x(from) + 3, y: TOP - 5 }, title));
        free = this.x(from) + 5 + 8 * title.length;
      }
      this.plot.append(svg("text", { x: LEFT, y: HEIGHT - 6 }, "0"),
        svg("text", { x: WIDTH - RIGHT, y: HEIGHT - 6, "text-anchor": "end" }, `${steps} steps`));
      if (this.reference) {
        const y = this.y(this.reference.value);
        this.plot.append(svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y, class: "shop-reference" }));
      }
      this.lines = svg("g", { "clip-path": `url(#${this.clip})` });
      this.plot.append(this.lines);
      this.draw([]);
    }

    draw(rows) {
      const line = (of, key, n, kind) => svg("polyline", {
        points: of.filter((row) => row[key] !== undefined).map((row) => `${this.x(row.step).toFixed(1)},${this.y(row[key]).toFixed(1)}`).join(" "),
        class: kind, "stroke-dasharray": DASHES[n],
      });
      this.lines.replaceChildren(
        ...this.keys.map((key, n) => line(this.before, key, n, "shop-line shop-line-before")),
        ...this.keys.map((key, n) => line(rows, key, n, `shop-line shop-line-${n}`)),
      );
      const last = rows.at(-1);
      for (const key of this.keys) this.values[key].textContent = last?.[key] === undefined ? "" : this.format(last[key]);
    }

    // What the picture says, in words.
    say(rows, what) {
      const first = rows[0], last = rows.at(-1);
      const of = (key) => `${this.series[key]} from ${this.format(first[key])} to ${this.format(last[key])}`;
      this.plot.setAttribute("aria-label", last ? `${what}: ${this.keys.map(of).join("; ")}.` : `${what}: nothing trained yet.`);
    }
  }

  globalThis.EnumerableChart = Chart;
})();
