// The page of the enumerable shop: the reader's settings make a run, the run is trained in short bites so that the page
// stays awake, and what it has come to is summed up exactly after each.
"use strict";
(() => {
  const S = EnumerableShop, Chart = EnumerableChart;
  const $ = (name) => document.getElementById(`shop-${name}`);
  const STRIDE = 5; // steps between two looks
  const LOOP = { rl: 150, consolidate: 100, rounds: 3, only_wrong: true };
  const SLIDERS = ["bias", "rl", "group", "temperature", "kl", "credit", "facts"];
  const CONTEXT = 1, CLICKS = [0, 7, 2]; // of curve 4: two tastes; the likelier, the other, and a rare click
  const JUDGES = { list: "whole list", first: "first place", drawn: "drawn ID" };
  const STAGES = { align: "align", distil: "distil", rl: "RL", consolidate: "SFT" };
  const MEASURED = [
    ["one", "NDCG@6, one greedy thought"], ["merged", "NDCG@6, all thoughts merged"], ["direct", "NDCG@6, no thought"],
    ["entropy", "variety of thoughts, bits"], ["true_words", "stated facets that are true"],
    ["fillers", "words that are fillers"], ["prior", "thoughts that say Alba and dark"],
  ];
  const still = matchMedia("(prefers-reduced-motion: reduce)"); // then only the end of each stage is drawn

  // -- small help with elements: text is always text, never markup -----------------------------------------------

  function element(tag, content = [], attributes = {}) {
    const made = Object.assign(document.createElement(tag), attributes);
    made.append(...[content].flat());
    return made;
  }
  const option = (text, value) => element("option", text, { value });
  const row = (title, cells) => element("tr", [element("th", title, { scope: "row" }), ...cells.map((cell) => element("td", cell))]);

  function say(text, fault = false) {
    $("status").className = fault ? "shop-fault" : "";
    $("status").textContent = text;
  }

  // -- what the reader sets --------------------------------------------------------------------------------------

  function set(changes = {}) {
    const all = { ...S.DEFAULTS, then: "rl", ...changes };
    for (const name of [...SLIDERS, "seed", "judge", "then"]) $(name).value = all[name];
    showSettings();
  }

  function showSettings() {
    for (const name of SLIDERS) $(`${name}-is`).textContent = $(name).value;
    $("rl").disabled = $("then").value === "loop";
    $("credit").disabled = $("judge").value !== "list";
  }

  function chosen() {
    const numbers = Object.fromEntries([...SLIDERS, "seed"].map((name) => [name, Number($(name).value)]));
    if ($("judge").value !== "list") numbers.credit = 0;
    return { ...S.DEFAULTS, ...numbers, judge: $("judge").value, ...($("then").value === "loop" ? LOOP : {}) };
  }

  // -- a run -----------------------------------------------------------------------------------------------------

  let run = null, running = false;

  // The last run that got anywhere stays in grey.
  function begin() {
    const before = run?.trainer.done ? run : run?.before ?? null;
    if (before) before.before = null;
    const trainer = new S.Trainer(chosen()), { plan } = trainer;
    const starts = plan.flatMap((stage, n) => (stage === plan[n - 1] ? [] : [{ from: n, title: STAGES[stage], stage }]));
    run = { trainer, starts, before, rows: [], ends: {}, milliseconds: 0 };
    for (const chart of Object.values(charts)) chart.begin(plan.length, starts, before?.rows ?? []);
    look();
    show();
    const count = (stage) => plan.filter((s) => s === stage).length;
    const words = { align: "of alignment", distil: "of distillation", rl: "of RL", consolidate: "of SFT" };
    const parts = Object.keys(words).filter(count).map((stage) => `${count(stage)} ${words[stage]}`);
    say(`Ready to train: ${parts.join(", ")}. ${before ? "Your last run stays in grey." : ""}`);
  }

  function look() {
    const { trainer: { theta, done, settings } } = run, now = { step: done, ...S.measure(theta) };
    const sums = S.sums(theta, CONTEXT);
    for (const click of CLICKS) {
      for (const judge of Object.keys(JUDGES)) {
        now[`${judge} ${click}`] = S.groupNoise(theta, CONTEXT, sums, click, judge, settings.group).groups;
      }
    }
    run.rows.push(now);
  }

  const saying = {
    align: () => "Aligning: which item belongs to which context, and which words to which item.",
    distil: () => "Distilling: what the teacher writes, then the item.",
    rl: (s) => `RL: groups of ${s.group} thoughts, judged by ${$("judge").selectedOptions[0].textContent}.`,
    consolidate: () => "SFT on thoughts of its own that led to the click.",
  };

  function advance() {
    if (!running) return;
    const { trainer, starts } = run, began = performance.now();
    const here = starts.find(({ from }) => from === trainer.done);
    if (here) say(saying[here.stage](trainer.settings));
    const next = starts.find(({ from }) => from > trainer.done)?.from ?? trainer.plan.length;
    const until = Math.min(trainer.done + STRIDE, next);
    while (trainer.done < until) trainer.step();
    look();
    if (trainer.done === next) run.ends[trainer.plan[next - 1]] = run.rows.at(-1);
    if (trainer.done === next || !still.matches) show();
    run.milliseconds += performance.now() - began;
    if (trainer.finished) finish();
    else setTimeout(advance, 0);
  }

  function go() {
    if (run.trainer.finished) begin();
    running = true;
    $("go").textContent = "Pause";
    if (run.trainer.done) say(`Goes on: ${STAGES[run.trainer.stage]}.`);
    setTimeout(advance, 0);
  }

  function pause() {
    running = false;
    $("go").textContent = "Continue";
    show();
    say(`Paused at step ${run.trainer.done} of ${run.trainer.plan.length}.`);
  }

  function finish() {
    running = false;
    $("go").textContent = "Train again";
    const { one, merged, entropy } = run.rows.at(-1), f = (x) => x.toFixed(3);
    say(`Done in ${(run.milliseconds / 1000).toFixed(1)} s. One greedy thought is worth ${f(one)}, all thoughts merged ` +
      `${f(merged)}; the ceiling is ${f(S.ceiling())}. Variety: ${entropy.toFixed(1)} bits.`);
  }

  // Another setting is another run, from its first step.
  function changed() {
    showSettings();
    if (!$("seed").checkValidity()) {
      running = false;
      $("go").textContent = "Train";
      say("The seed must be a whole number from 0 to 4294967295.", true);
      return false;
    }
    const was = running;
    running = false;
    $("go").textContent = "Train";
    begin();
    if (was) go();
    return true;
  }

  // -- what is shown ---------------------------------------------------------------------------------------------

  const percent = (share) => `${(100 * share).toFixed(0)} %`;
  const charts = {
    quality: new Chart($("quality"), {
      series: { merged: "all thoughts", one: "one thought", direct: "no thought" }, low: 0.3, high: 0.65,
      ticks: [0.3, 0.4, 0.5, 0.6], reference: { title: "ceiling", value: S.ceiling() },
    }),
    entropy: new Chart($("entropy"), {
      series: { entropy: "variety" }, low: 0, high: 11, ticks: [0, 2, 4, 6, 8, 10], format: (v) => `${v.toFixed(1)} bits`,
    }),
    words: new Chart($("words"), {
      series: { true_words: "stated and true", prior: "say Alba and dark", fillers: "fillers" }, low: 0, high: 1,
      ticks: [0, 0.25, 0.5, 0.75, 1], format: percent,
    }),
    noise: new Chart($("noise"), {
      series: JUDGES, low: 0.1, high: 1000, ticks: [0.1, 1, 10, 100, 1000], log: true,
      format: (v) => (v < 1e4 ? v.toPrecision(3).replace(/e\+3$/, "000") : "> 10,000"),
    }),
  };

  // Curve 4 shows one click of the three that are computed.
  function noiseRows(rows) {
    const click = $("click").value;
    return rows.map((r) => ({ step: r.step, ...Object.fromEntries(Object.keys(JUDGES).map((j) => [j, r[`${j} ${click}`]])) }));
  }

  function show() {
    const { rows, trainer } = run;
    for (const [key, chart] of Object.entries(charts)) chart.draw(key === "noise" ? noiseRows(rows) : rows);
    charts.quality.say(rows, "NDCG@6");
    charts.entropy.say(rows, "Entropy of thoughts");
    charts.words.say(rows, "Shares");
    charts.noise.say(noiseRows(rows), "Groups needed");
    $("progress").max = trainer.plan.length;
    $("progress").value = trainer.done;
    const states = [run.ends.align, run.ends.distil, rows.at(-1), run.before?.rows.at(-1)];
    $("table").replaceChildren(...MEASURED.map(([key, title]) =>
      row(title, states.map((state) => (state ? state[key].toFixed(key === "entropy" ? 2 : 3) : "")))));
    showRequest();
  }

  function showRequest() {
    const c = Number($("context").value), wanted = S.TRUTH[c], s = S.sums(run.trainer.theta, c);
    const shares = [wanted, s.items[S.bagOf(s.greedy)], s.merged], listed = S.best(wanted);
    const bar = (share) => [share.toFixed(3), element("span", [], { className: "shop-share", style: `width: ${(100 * share).toFixed(1)}%` })];
    const rest = shares.map((of) => 1 - listed.reduce((sum, i) => sum + of[i], 0));
    $("items").replaceChildren(
      ...listed.map((i) => row(S.name(i), shares.map((of) => bar(of[i])))),
      row("18 others", rest.map((share) => bar(Math.max(0, share)))),
    );
    $("thoughts").replaceChildren(...S.best(s.prob, 6).map((n) =>
      row(S.say(S.THOUGHTS[n]), [bar(s.prob[n]), S.name(S.best(s.items[S.BAG_OF[n]], 1)[0])])));
  }

  // -- begin -----------------------------------------------------------------------------------------------------

  $("click").append(...CLICKS.map((i) => option(S.name(i), i)));
  $("click").value = CLICKS[1];
  $("context").append(...S.CONTEXTS.map((text, c) => option(text, c)));
  $("context").value = CONTEXT;
  $("click").onchange = () => {
    charts.noise.begin(run.trainer.plan.length, run.starts, noiseRows(run.before?.rows ?? []));
    show();
  };
  $("context").onchange = showRequest;
  $("form").oninput = showSettings;
  $("form").onchange = changed;
  $("form").onsubmit = (event) => {
    event.preventDefault();
    if (running && document.activeElement === $("seed")) return; // Enter there: a changed seed has begun another run
    if (running) pause();
    else go();
  };
  $("anew").onclick = changed;
  $("reset").onclick = () => {
    set();
    changed();
  };
  for (const place of document.querySelectorAll("[data-shop]")) {
    const button = element("button", "Set it up and train", { type: "button", className: "shop-run" });
    button.onclick = () => {
      set(JSON.parse(place.dataset.shop));
      running = false;
      begin();
      $("status").scrollIntoView();
      $("status").focus({ preventScroll: true });
      go();
    };
    place.append(button);
  }
  set();
  $("still").hidden = true;
  $("form").hidden = $("live").hidden = false;
  begin();
  self.shopPage = { get run() { return run; }, chosen }; // for the console, and for comparing with Python
})();
