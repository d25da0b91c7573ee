// A trie of a few names of two tokens, with probabilities to set. `data.tree`: first token -> {p, below: second token
// -> {p, item}}.
(root, data) => {
  const SVG = "http://www.w3.org/2000/svg", KEPT = "var(--crs-blue)";
  const find = (what) => root.querySelector(`[data-is="${what}"]`);
  const firsts = Object.keys(data.tree), start = JSON.stringify(data.tree);
  let tree = JSON.parse(start);

  // Beams of this width: what is kept after one token and after two, best first (the upper branch wins a tie).
  function search(tree, width, renormalised) {
    const grow = (beams) => beams.flatMap(({ score, path, node }) => {
      const ways = Object.entries(node);
      const room = renormalised ? ways.reduce((sum, [, way]) => sum + way.p, 0) : 1;
      return ways.map(([token, way]) => ({
        score: room ? (score * way.p) / room : 0, path: [...path, token], node: way.below, item: way.item,
      }));
    }).sort((a, b) => b.score - a.score);
    const first = grow([{ score: 1, path: [], node: tree }]);
    const second = grow(first.slice(0, width));
    return { first, kept: first.slice(0, width), second, list: second.slice(0, width) };
  }

  function draw(kind, attributes, text = "") {
    const shape = document.createElementNS(SVG, kind);
    for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, value);
    shape.textContent = text;
    find("drawing").append(shape);
  }

  const number = (p) => p.toFixed(3).replace(/0$/, "");

  function branch(from, to, alive, p) {
    draw("line", { x1: from[0], y1: from[1], x2: to[0], y2: to[1], stroke: alive ? KEPT : "currentColor",
                   "stroke-width": alive ? 3 : 1.2, "stroke-dasharray": alive ? "none" : "4 3",
                   "stroke-opacity": alive ? 1 : 0.6 });
    draw("text", { x: from[0] + 0.6 * (to[0] - from[0]), y: from[1] + 0.6 * (to[1] - from[1]) - 5, "font-size": 12,
                   "text-anchor": "middle" }, number(p));
  }

  function picture(found) {
    find("drawing").replaceChildren();
    const kept = new Set(found.kept.map((b) => b.path[0])), listed = new Set(found.list.map((b) => b.item));
    const used = Object.fromEntries(found.first.map((b) => [b.path[0], b.score]));
    let leaf = 0;
    for (const first of firsts) {
      const below = Object.entries(tree[first].below);
      const middle = [110, 30 + 50 * (leaf + (below.length - 1) / 2)];
      branch([12, 105], middle, kept.has(first), used[first]);
      const room = find("tidy").checked ? below.reduce((sum, [, way]) => sum + way.p, 0) || 1 : 1;
      for (const [second, way] of below) {
        const end = [225, 30 + 50 * leaf];
        branch(middle, end, listed.has(way.item), way.p / room);
        draw("text", { x: 231, y: end[1] - 2, "font-size": 12 }, way.item);
        draw("text", { x: 231, y: end[1] + 12, "font-size": 10 }, `<${first}><${second}>`);
        leaf += 1;
      }
    }
  }

  // `changed`: what the last slide did besides setting its own value, in words.
  function show(changed = "") {
    const width = Number(root.querySelector("input[type=radio]:checked").value), tidy = find("tidy").checked;
    const found = search(tree, width, tidy), full = search(tree, 99, false).second;
    picture(found);
    const all = full.map((b) => b.item), list = found.list.map((b) => b.item);
    find("list").replaceChildren(...all.map((_, n) => {
      const tr = document.createElement("tr"), beam = found.list[n];
      for (const cell of [n + 1, beam ? beam.item : "–", beam ? number(beam.score) : "",
                          beam ? Math.log(beam.score).toFixed(2).replace("Infinity", "∞").replace("-", "−") : ""]) {
        tr.append(Object.assign(document.createElement("td"), { textContent: cell }));
      }
      return tr;
    }));
    const place = list.indexOf(all[0]) + 1;
    find("says").textContent = `${changed}The model's likeliest item is the ${all[0]}. ` +
      (place ? `This search has it in place ${place}.` : "This search has lost it.");
    for (const range of root.querySelectorAll("input[type=range]")) {
      const way = at(range);
      range.value = way.p;
      range.nextElementSibling.value = way.p.toFixed(2);
      range.setAttribute("aria-valuetext", aloud(range));
    }
  }

  const at = ({ dataset: { first, second } }) => second ? tree[first].below[second] : tree[first];
  const together = (ways) => Object.values(ways).reduce((sum, way) => sum + way.p, 0);
  // The ways that share one node with a slider's, and what they share of it when renormalised.
  const family = ({ dataset: { first, second } }) => second ? tree[first].below : tree;
  const share = (way, ways) => (together(ways) ? way.p / together(ways) : 0).toFixed(2);

  // What a screen reader says in place of the bare value: a slide changes the room of its siblings, and their shares.
  function aloud(range) {
    const way = at(range), ways = family(range), { first, second } = range.dataset;
    const left = Math.max(0, 1 - together(ways)).toFixed(2);
    return way.p.toFixed(2) + (find("tidy").checked ? `, renormalised ${share(way, ways)}` : "") +
      `; ${left} left behind ${second ? first : "the root"}`;
  }

  // The probabilities behind one node are at most one together: a slider stops where there is no room left.
  function slide(range) {
    const way = at(range), ways = family(range), wanted = Number(range.value);
    const most = Math.round((1 - together(ways) + way.p) * 100) / 100;
    way.p = Math.min(wanted, most);
    const name = range.getAttribute("aria-label"), tokens = Object.entries(ways);
    const shares = tokens.map(([token, of]) => `${token} ${share(of, ways)}`).join(", ");
    show((wanted > most ? `${name} stops at ${most.toFixed(2)}: its siblings have the rest. ` : "") +
         (find("tidy").checked ? `Renormalised: ${shares}. ` : ""));
  }

  root.addEventListener("input", (event) => event.target.type === "range" ? slide(event.target) : show());
  find("reset").addEventListener("click", () => {
    tree = JSON.parse(start);
    find("tidy").checked = false;
    root.querySelector("input[type=radio]").checked = true;
    show();
  });
  show();
}
