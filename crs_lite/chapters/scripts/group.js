// A group of rewards to set, and the advantages that GRPO makes of them. `data`: {rewards, eps, settings: name ->
// rewards}.
(root, data) => {
  const SVG = "http://www.w3.org/2000/svg", MIDDLE = 158, UNIT = 38, ROW = 24;
  const find = (what) => root.querySelector(`[data-is="${what}"]`);
  const sliders = [...root.querySelectorAll("input[type=range]")];
  const two = (x) => Math.abs(x) < 0.005 ? "0.00" : x.toFixed(2).replace("-", "−");

  // Reward less the group's mean, divided by its spread (the sample deviation) if wanted. A silent group says zero.
  function judge(rewards, divide) {
    const mean = rewards.reduce((sum, r) => sum + r, 0) / rewards.length;
    const centred = rewards.map((r) => r - mean);
    const spread = Math.sqrt(centred.reduce((sum, c) => sum + c * c, 0) / (rewards.length - 1));
    const silent = rewards.every((r) => r === rewards[0]);
    const advantage = centred.map((c) => silent ? 0 : divide ? c / (spread + data.eps) : c);
    return { mean, spread, silent, centred, advantage };
  }

  function draw(kind, attributes, text = "") {
    const shape = document.createElementNS(SVG, kind);
    for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, value);
    shape.textContent = text;
    find("drawing").append(shape);
  }

  function picture(advantage) {
    find("drawing").replaceChildren();
    advantage.forEach((a, n) => {
      const y = 4 + ROW * n, wide = Math.abs(a) * UNIT, end = MIDDLE + a * UNIT;
      draw("rect", { x: Math.min(MIDDLE, end), y, width: wide, height: ROW - 7,
                     fill: a < 0 ? "var(--crs-orange)" : "var(--crs-blue)" });
      draw("text", { x: 2, y: y + 13, "font-size": 12 }, `o${n + 1}`);
      draw("text", { x: end + (a < 0 ? -4 : 4), y: y + 13, "font-size": 12, "text-anchor": a < 0 ? "end" : "start" },
           two(a));
    });
    draw("line", { x1: MIDDLE, x2: MIDDLE, y1: 0, y2: ROW * advantage.length + 2, stroke: "currentColor" });
  }

  function words({ silent, mean, spread, advantage }) {
    if (silent) return "All rewards are equal. The group is silent: it teaches nothing.";
    const best = Math.max(...advantage), worst = Math.min(...advantage);
    const who = (a) => advantage.flatMap((b, n) => Math.abs(a - b) < 1e-9 ? [`o${n + 1}`] : []);
    const named = (a) => who(a).length > 3 ? `${who(a).length} tries` : who(a).join(", ");
    return `Mean ${two(mean)}, spread ${two(spread)}. Pushed up most: ${named(best)}, by ${two(best)}. ` +
      `Pushed down most: ${named(worst)}, by ${two(-worst)}.`;
  }

  function show() {
    const rewards = sliders.map((s) => Number(s.value));
    const found = judge(rewards, find("divide").checked);
    picture(found.advantage);
    find("says").textContent = words(found);
    find("group").replaceChildren(...rewards.map((r, n) => {
      const tr = document.createElement("tr");
      for (const cell of [`o${n + 1}`, two(r), two(found.centred[n]), two(found.advantage[n])]) {
        tr.append(Object.assign(document.createElement("td"), { textContent: cell }));
      }
      return tr;
    }));
    for (const s of sliders) s.nextElementSibling.value = two(Number(s.value));
  }

  function set(rewards) {
    sliders.forEach((s, n) => { s.value = rewards[n]; });
    show();
  }

  root.addEventListener("input", show);
  root.addEventListener("click", ({ target }) => target.dataset.setting && set(data.settings[target.dataset.setting]));
  find("reset").addEventListener("click", () => {
    find("divide").checked = true;
    set(data.rewards);
  });
  set(data.rewards);
}
