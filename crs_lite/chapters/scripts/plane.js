// An item in the plane, and three layers of codes that follow it. `data`: layers of centres, the item, other items.
(root, data) => {
  const LETTERS = "abc", COLOURS = ["blue", "orange", "green"].map((c) => `var(--crs-${c})`), SVG = "http://www.w3.org/2000/svg";
  const square = (v) => v[0] * v[0] + v[1] * v[1];
  const minus = (v, w) => [v[0] - w[0], v[1] - w[1]];
  const plus = (v, w) => [v[0] + w[0], v[1] + w[1]];

  // The codes of a vector: at each layer the nearest centre to what is left (the lower number wins a tie).
  function encode(x) {
    const codes = [], left = [x];
    for (const centres of data.layers) {
      const from = centres.map((centre) => square(minus(left.at(-1), centre)));
      codes.push(from.indexOf(Math.min(...from)));
      left.push(minus(left.at(-1), centres[codes.at(-1)]));
    }
    return { codes, left };
  }

  const point = (v) => `(${v.join(", ")})`.replaceAll("-", "−");
  const name = (codes) => codes.map((c, l) => `<${LETTERS[l]}_${c}>`).join("");
  const find = (what) => root.querySelector(`[data-is="${what}"]`);
  const [svg, ranges] = [find("plane"), ["x", "y"].map(find)];
  let item = [...data.item];

  function draw(parent, kind, attributes, text = "") {
    const shape = document.createElementNS(SVG, kind);
    for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, value);
    shape.textContent = text;
    parent.append(shape);
    return shape;
  }

  function row(cells, head) {
    const tr = document.createElement("tr");
    cells.forEach((cell, n) => {
      const td = document.createElement(head || n === 0 ? "th" : "td");
      td.scope = head ? "col" : "row";
      td.textContent = cell;
      tr.append(td);
    });
    return tr;
  }

  // y points up in the text and down on a screen.
  function picture(codes) {
    const g = svg.querySelector("g");
    g.replaceChildren();
    const line = (from, to, more) =>
      draw(g, "line", { x1: from[0], y1: -from[1], x2: to[0], y2: -to[1], ...more });
    line([-15, 0], [15, 0], { stroke: "currentColor", "stroke-opacity": 0.3, "stroke-width": 0.08 });
    line([0, -15], [0, 15], { stroke: "currentColor", "stroke-opacity": 0.3, "stroke-width": 0.08 });
    let at = [0, 0];
    codes.forEach((code, l) => {
      data.layers[l].forEach((centre, c) => {
        const [x, y] = plus(at, centre), size = [1.2, 0.9, 0.6][l];
        draw(g, "rect", { x: x - size / 2, y: -y - size / 2, width: size, height: size, fill: COLOURS[l],
                          "fill-opacity": c === code ? 1 : 0.35 });
        if (l === 0) draw(g, "text", { x: x + 0.9, y: -y + 1.5, "font-size": 1.1 }, `a_${c}`);
      });
      const next = plus(at, data.layers[l][code]);
      line(at, next, { stroke: COLOURS[l], "stroke-width": 0.25 });
      at = next;
    });
    line(at, item, { stroke: "currentColor", "stroke-width": 0.15, "stroke-dasharray": "0.4 0.3" });
    for (const [who, place] of Object.entries(data.others)) {
      draw(g, "circle", { cx: place[0], cy: -place[1], r: 0.4, fill: "currentColor", "fill-opacity": 0.55 });
      draw(g, "text", { x: place[0] + 0.5, y: -place[1] - 0.4, "font-size": 1.2 }, who);
    }
    const star = svg.querySelector(".crs-star");
    star.setAttribute("transform", `translate(${item[0]} ${-item[1]})`);
  }

  function show() {
    const { codes, left } = encode(item);
    picture(codes);
    ranges.forEach((range, n) => {
      range.value = item[n];
      range.nextElementSibling.value = item[n];
    });
    find("says").textContent = `${point(item)} is called ${name(codes)}`;
    find("layers").replaceChildren(...codes.map((code, l) =>
      row([`<${LETTERS[l]}_${code}>`, point(data.layers[l][code]), point(left[l + 1]), square(left[l + 1])])));
    find("others").replaceChildren(...Object.entries(data.others).map(([who, place]) => {
      const theirs = encode(place).codes;
      const differs = theirs.findIndex((c, l) => c !== codes[l]);
      return row([who, point(place), name(theirs), differs < 0 ? 3 : differs]);
    }));
  }

  function move(x, y) {
    item = [x, y].map((v) => Math.max(-14, Math.min(14, Math.round(v))));
    show();
  }

  function follow(event) {
    const p = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    move(p.x, -p.y);
  }

  const star = svg.querySelector(".crs-star");
  star.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    star.setPointerCapture(event.pointerId);
  });
  star.addEventListener("pointermove", (event) => star.hasPointerCapture(event.pointerId) && follow(event));
  svg.addEventListener("click", follow);
  ranges.forEach((range) => range.addEventListener("input", () => move(...ranges.map((r) => Number(r.value)))));
  find("reset").addEventListener("click", () => move(...data.item));
  show();
}
