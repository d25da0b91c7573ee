// Two lists of ten places: one with the target, which is dragged, and one of near misses. `data`: place, the credits
// for one, two and three shared tokens, and how many tokens each near miss shares.
(root, data) => {
  const SVG = "http://www.w3.org/2000/svg", K = data.shared.length, WIDE = 30, TALL = 78;
  const find = (what) => root.querySelector(`[data-is="${what}"]`);
  const weight = Array.from({ length: K }, (_, n) => 1 / Math.log2(n + 2));
  const all = weight.reduce((sum, w) => sum + w, 0), bound = weight[K - 1] / all;
  const svg = find("lists"), star = svg.querySelector(".crs-star");
  let { place, credit, shared } = JSON.parse(JSON.stringify(data));

  function draw(kind, attributes, text = "") {
    const shape = document.createElementNS(SVG, kind);
    for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, value);
    shape.textContent = text;
    svg.querySelector("g").append(shape);
  }

  // One list: a frame as tall as each place's weight, filled by what its item earns.
  function list(base, scores, colour, title) {
    draw("text", { x: 10, y: base - TALL - 7, "font-size": 12 }, title);
    scores.forEach((s, n) => {
      const x = 10 + WIDE * n, full = TALL * weight[n];
      draw("rect", { x: x + 2, y: base - full, width: WIDE - 4, height: full, fill: "none", stroke: "currentColor",
                     "stroke-opacity": 0.45 });
      draw("rect", { x: x + 2, y: base - full * s, width: WIDE - 4, height: full * s, fill: colour });
      draw("text", { x: x + WIDE / 2, y: base + 14, "font-size": 11, "text-anchor": "middle" }, n + 1);
    });
  }

  function show() {
    svg.querySelector("g").replaceChildren();
    const miss = shared.map((m) => m ? credit[m - 1] : 0);
    const held = weight[place - 1], near = miss.reduce((sum, s, n) => sum + s * weight[n], 0);
    list(104, weight.map((_, n) => n + 1 === place ? 1 : 0), "var(--crs-blue)", "With the target, strangers around it");
    list(224, miss, "var(--crs-orange)", "Without the target, ten near misses");
    star.setAttribute("transform", `translate(${10 + WIDE * (place - 0.5)} ${104 - TALL * held - 9})`);
    find("place").value = place;
    find("place").nextElementSibling.value = place;
    credit.forEach((c, n) => {
      find(`c${n + 1}`).value = c;
      find(`c${n + 1}`).nextElementSibling.value = c.toFixed(2);
    });
    root.querySelectorAll("[data-near]").forEach((button, n) => {
      button.textContent = shared[n];
      button.setAttribute("aria-label", `place ${n + 1}: shares ${shared[n]} tokens with the target`);
    });
    const largest = Math.max(...credit), rows = [
      [`target in place ${place}`, held], ["near misses, no target", near],
      ["largest credit", largest], [`bound: last weight / all weights`, bound],
    ];
    find("worth").replaceChildren(...rows.map((cells) => {
      const tr = document.createElement("tr");
      cells.forEach((cell, n) => {
        const td = document.createElement(n ? "td" : "th");
        td.textContent = n ? cell.toFixed(4) : cell;
        tr.append(td);
      });
      return tr;
    }));
    find("says").textContent =
      near > held ? "Broken: the list without the target is worth more than the list with it."
      : largest > bound ? "The largest credit is above the bound. Here the target still wins; somewhere it does not."
      : "The bound holds: no list without the target can be worth as much as one with it.";
  }

  function move(to) {
    place = Math.max(1, Math.min(K, Math.round(to)));
    show();
  }

  function follow(event) {
    const p = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    move((p.x - 10) / WIDE + 0.5);
  }

  star.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    star.setPointerCapture(event.pointerId);
  });
  star.addEventListener("pointermove", (event) => star.hasPointerCapture(event.pointerId) && follow(event));
  svg.addEventListener("click", (event) => star.contains(event.target) || follow(event));
  root.addEventListener("input", ({ target }) => {
    if (target.dataset.is === "place") return move(Number(target.value));
    credit[Number(target.dataset.is[1]) - 1] = Number(target.value);
    show();
  });
  root.querySelectorAll("[data-near]").forEach((button, n) => button.addEventListener("click", () => {
    shared[n] = (shared[n] + 1) % 4;
    show();
  }));
  find("reset").addEventListener("click", () => {
    ({ place, credit, shared } = JSON.parse(JSON.stringify(data)));
    show();
  });
  show();
}
