// One row of the cache: a prompt, its thoughts, their beams. `data.parent[i]`: the column that column i continues (-1:
// none), so that what it sees is the chain of its parents and itself. `data.kept[i]`: false for a column that was
// computed for a thought which had already ended.
(root, data) => {
  const SVG = "http://www.w3.org/2000/svg", CELL = 10, HIGH = 15, { parent, kept, prompt, group, beams, levels } = data;
  const find = (what) => root.querySelector(`[data-is="${what}"]`);
  const svg = find("row"), range = find("column"), last = parent.length - 1;
  const longest = (parent.length - prompt - levels * group * beams) / group, ACROSS = longest + beams + 1;
  const deep = Math.ceil(prompt / ACROSS), top = deep * HIGH + 62;
  const band = levels * HIGH;

  // What a column is, and where it is drawn.
  const columns = parent.map((_, i) => {
    if (i < prompt) {
      return { kind: "prompt", at: i, x: (i % ACROSS) * CELL, y: 24 + Math.floor(i / ACROSS) * HIGH, tall: HIGH };
    }
    const from = i - prompt, words = group * longest;
    if (from < words) {
      const g = from % group, t = Math.floor(from / group);
      return { kind: "thought", g, at: t, x: t * CELL, y: top + g * (band + 10), tall: band };
    }
    const beam = from - words, g = Math.floor((beam % (group * beams)) / beams), level = Math.floor(beam / (group * beams));
    return { kind: "beam", g, at: beam % beams, level, x: (longest + 1 + (beam % beams)) * CELL,
             y: top + g * (band + 10) + level * HIGH, tall: HIGH };
  });
  const high = top + group * (band + 10) - 10;
  svg.setAttribute("viewBox", `0 0 ${ACROSS * CELL} ${high}`);

  function draw(kind, attributes, text = "") {
    const shape = document.createElementNS(SVG, kind);
    for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, value);
    shape.textContent = text;
    svg.append(shape);
    return shape;
  }

  draw("text", { x: 0, y: 17, "font-size": 19 }, "the prompt");
  draw("text", { x: 0, y: top - 9, "font-size": 19 }, `${group} thoughts`);
  draw("text", { x: ACROSS * CELL, y: top - 9, "font-size": 19, "text-anchor": "end" }, `their ${beams} beams`);
  const cells = columns.map((c) => draw("rect", { x: c.x + 0.5, y: c.y + 0.5, width: CELL - 1, height: c.tall - 1 }));

  function seenBy(i) {
    const seen = new Set();
    for (let at = i; at >= 0; at = parent[at]) seen.add(at);
    return seen;
  }

  function name(i) {
    const { kind, g, at, level } = columns[i];
    if (kind === "prompt") return `token ${at + 1} of the prompt`;
    if (kind === "beam") return `beam ${at + 1} of thought ${g + 1}, token ${level + 1} of its ID`;
    return kept[i] ? `token ${at + 1} of thought ${g + 1}`
      : `kept free behind thought ${g + 1}, which has ended: nobody sees it`;
  }

  function show(i) {
    const seen = seenBy(i), me = columns[i];
    cells.forEach((cell, n) => {
      const on = seen.has(n);
      cell.setAttribute("fill", n === i ? "var(--crs-orange)" : on ? "var(--crs-blue)" : "currentColor");
      cell.setAttribute("fill-opacity", on ? 1 : kept[n] ? 0.22 : 0.06);
    });
    range.value = i + 1;
    range.nextElementSibling.value = i + 1;
    find("says").textContent = `Column ${i + 1}: ${name(i)}. It sees ${seen.size} of the ${i + 1} columns so far.`;
    const parts = {
      "the prompt": (c) => c.kind === "prompt",
      "its own thought": (c) => c.kind === "thought" && c.g === me.g,
      "the other thoughts": (c) => c.kind === "thought" && c.g !== me.g,
      "beams of its own thought": (c) => c.kind === "beam" && c.g === me.g,
      "beams of the others": (c) => c.kind === "beam" && c.g !== me.g,
    };
    find("parts").replaceChildren(...Object.entries(parts).map(([label, of]) => {
      const tr = document.createElement("tr"), here = columns.flatMap((c, n) => of(c) ? [n] : []);
      [label, here.filter((n) => seen.has(n)).length, here.length].forEach((cell, n) => {
        const td = document.createElement(n ? "td" : "th");
        td.textContent = cell;
        tr.append(td);
      });
      return tr;
    }));
  }

  function nearest(event) {
    const p = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const far = columns.map((c) => Math.max(c.x - p.x, p.x - c.x - CELL, 0) + Math.max(c.y - p.y, p.y - c.y - c.tall, 0));
    return far.indexOf(Math.min(...far));
  }

  range.max = last + 1;
  svg.addEventListener("pointermove", (event) => show(nearest(event)));
  svg.addEventListener("click", (event) => show(nearest(event)));
  range.addEventListener("input", () => show(Number(range.value) - 1));
  root.querySelectorAll("[data-go]").forEach((button) =>
    button.addEventListener("click", () => show(columns.findIndex((c, n) => c.kind === button.dataset.go && kept[n] &&
      (c.kind === "prompt" ? c.at === 9 : c.g === 3 && (c.kind === "beam" ? c.level === levels - 1 : c.at === 9))))));
  show(data.first);
}
