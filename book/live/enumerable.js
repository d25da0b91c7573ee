// The enumerable shop in plain JavaScript: the arithmetic of crs_lite/enumerable/, number for number.
// A test runs both with the same settings and compares every parameter. Nothing here touches a page.
"use strict";
(() => {
  // -- the shop (shop.py) ---------------------------------------------------------------------------------------
  const CATEGORIES = ["lamp", "mug", "chair"];
  const BRANDS = ["Alba", "Brio"];
  const STYLES = ["plain", "dark", "light", "bold"];
  const FILLERS = ["nice", "good", "new"];
  const WORDS = [...CATEGORIES, ...BRANDS, ...STYLES, ...FILLERS];
  const STOP = WORDS.length, START = STOP, CHOICES = STOP + 1, LONGEST = 3, PLACES = 6;
  const SIZES = [3, 2, 4], LEVELS = [0, 3, 5, 9], FACETS = 9, N_ITEMS = 24;
  const HISTORIES = ["clicked Alba plain", "clicked Alba plain and Brio bold", "clicked Brio dark", "new here"];
  const ASKED = 0.9;
  const TASTE = [
    [0.60, 0.10, 0.10, 0.02, 0.06, 0.04, 0.04, 0.04],
    [0.42, 0.04, 0.04, 0.04, 0.04, 0.04, 0.04, 0.34],
    [0.04, 0.04, 0.04, 0.04, 0.10, 0.46, 0.20, 0.08],
    [0.05, 0.05, 0.15, 0.05, 0.15, 0.10, 0.35, 0.10],
  ];
  const CONTEXTS = CATEGORIES.flatMap((asked) => HISTORIES.map((h) => `“${asked}”, ${h}`));
  const N_CONTEXTS = CONTEXTS.length, NOWHERE = N_CONTEXTS;
  const PRIOR = [3, 6], FILLED = 0.1;

  // An item's number -> its ID as words: category, brand, style.
  const TOKENS = Array.from({ length: N_ITEMS }, (_, i) => [Math.floor(i / 8), 3 + (Math.floor(i / 4) % 2), 5 + (i % 4)]);
  const name = (item) => TOKENS[item].map((w) => WORDS[w]).join(" ");
  const say = (thought) => thought.map((w) => WORDS[w]).join(" ") || "(nothing)";

  const TRUTH = CONTEXTS.map((_, c) => TOKENS.map(([category], i) => {
    const asked = Math.floor(c / HISTORIES.length) === category ? ASKED : (1 - ASKED) / 2;
    return asked * TASTE[c % HISTORIES.length][i % 8];
  }));

  // Mulberry32.
  class Generator {
    constructor(seed) { this.state = seed >>> 0; }
    uniform() {
      this.state = (this.state + 0x6D2B79F5) >>> 0;
      let t = this.state;
      t = Math.imul(t ^ (t >>> 15), t | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    }
    // An index drawn by inverting the cumulative weights.
    below(cumulative) {
      const u = this.uniform() * cumulative[cumulative.length - 1];
      let i = 0;
      while (i < cumulative.length - 1 && cumulative[i] <= u) i += 1;
      return i;
    }
  }

  const cumulate = (weights) => { let sum = 0; return weights.map((w) => (sum += w)); };

  // -- the policy (policy.py) -----------------------------------------------------------------------------------
  const SHAPE = { words: N_CONTEXTS * CHOICES * CHOICES, category: 13 * 3, brand: 13 * 6, style: 13 * 24, meaning: 12 * 9 };
  const AT = {};
  const N_PARAMETERS = Object.keys(SHAPE).reduce((at, k) => { AT[k] = at; return at + SHAPE[k]; }, 0);
  const rowOf = (c, last) => AT.words + (c * CHOICES + last) * CHOICES;
  // Where the three rows of ID logits begin that stand behind the beginning of this item's ID.
  function idRows(c, item) {
    const [category, brand] = TOKENS[item];
    return [AT.category + c * 3, AT.brand + (c * 3 + category) * 2, AT.style + (c * 6 + category * 2 + brand - 3) * 4];
  }

  function softmax(x) {
    let top = -Infinity, sum = 0;
    for (const v of x) if (v > top) top = v;
    const e = new Array(x.length);
    for (let n = 0; n < x.length; n++) sum += (e[n] = Math.exp(x[n] - top));
    for (let n = 0; n < x.length; n++) e[n] /= sum;
    return e;
  }

  function startingParameters(generator, spread = 0.1) {
    return Float64Array.from({ length: N_PARAMETERS }, () => (2 * generator.uniform() - 1) * spread);
  }

  // Probabilities of the next word (or the end) in a context, by the last word: 13 rows of 13.
  function wordProbs(theta, c, temperature = 1) {
    return Array.from({ length: CHOICES }, (_, last) => {
      const at = rowOf(c, last);
      return softmax(Array.from(theta.subarray(at, at + CHOICES), (x) => x / temperature));
    });
  }

  function pullOf(theta, thought) {
    const pull = new Array(FACETS).fill(0);
    for (const w of thought) for (let t = 0; t < FACETS; t++) pull[t] += theta[AT.meaning + w * FACETS + t];
    return pull;
  }

  function idProb(theta, at, level, pull) {
    const logits = new Array(SIZES[level]);
    for (let t = 0; t < SIZES[level]; t++) logits[t] = theta[at + t] + pull[LEVELS[level] + t];
    return softmax(logits);
  }

  // p(token | context, thought, prefix) on each level behind the beginning of this item's ID.
  function idProbs(theta, c, thought, item) {
    const pull = pullOf(theta, thought);
    return idRows(c, item).map((at, level) => idProb(theta, at, level, pull));
  }

  // p(item | context, thought) of all 24 items.
  function itemProbs(theta, c, thought) {
    const pull = pullOf(theta, thought), out = new Array(N_ITEMS);
    const category = idProb(theta, AT.category + c * 3, 0, pull);
    for (let a = 0; a < 3; a++) {
      const brand = idProb(theta, AT.brand + (c * 3 + a) * 2, 1, pull);
      for (let b = 0; b < 2; b++) {
        const style = idProb(theta, AT.style + (c * 6 + a * 2 + b) * 4, 2, pull);
        for (let s = 0; s < 4; s++) out[(a * 2 + b) * 4 + s] = category[a] * brand[b] * style[s];
      }
    }
    return out;
  }

  // The choices that made a thought: [last word or start, word or end]. A forced end is no choice.
  function stepsOf(thought) {
    const path = thought.map((w, n) => [n ? thought[n - 1] : START, w]);
    if (thought.length < LONGEST) path.push([thought.length ? thought[thought.length - 1] : START, STOP]);
    return path;
  }

  function addThought(gradient, probs, c, thought, weights) {
    stepsOf(thought).forEach(([last, word], n) => {
      const at = rowOf(c, last);
      for (let w = 0; w < CHOICES; w++) gradient[at + w] -= weights[n] * probs[last][w];
      gradient[at + word] += weights[n];
    });
  }

  function addItem(gradient, theta, c, thought, item, weights) {
    const rows = idRows(c, item);
    idProbs(theta, c, thought, item).forEach((p, level) => {
      for (let t = 0; t < p.length; t++) {
        const push = weights[level] * ((t === TOKENS[item][level] - LEVELS[level] ? 1 : 0) - p[t]);
        gradient[rows[level] + t] += push;
        for (const w of thought) gradient[AT.meaning + w * FACETS + LEVELS[level] + t] += push;
      }
    });
  }

  // -- exact sums (exact.py) ------------------------------------------------------------------------------------
  // The likeliest items, best first, equal ones in the catalogue's order.
  function best(p, places = PLACES) {
    const list = [];
    for (let k = 0; k < places; k++) {
      let top = -1;
      for (let i = 0; i < p.length; i++) if ((top < 0 || p[i] > p[top]) && !list.includes(i)) top = i;
      list.push(top);
    }
    return list;
  }
  const rankWeight = (k) => 1 / Math.log2(k + 2);
  const quality = (list, wanted) => list.reduce((sum, i, k) => sum + wanted[i] * rankWeight(k), 0);

  function sharedTokens(i, j) {
    let n = 0;
    while (n < 3 && TOKENS[i][n] === TOKENS[j][n]) n += 1;
    return n;
  }

  // The reward of a list for one target; credit for two shared ID tokens, a third of it for one.
  function listWorth(list, target, judge, credit) {
    if (judge !== "list") return list[0] === target ? 1 : 0;
    const worth = [0, credit / 3, credit, 1];
    return list.reduce((sum, i, k) => sum + worth[sharedTokens(i, target)] * rankWeight(k), 0);
  }

  // Thoughts without their order: all 455 bags, and the number of each by its sorted words.
  const BAGS = [], BAG = new Map();
  (function grow(bag) {
    BAG.set(bag.join(","), BAGS.length);
    BAGS.push(bag);
    if (bag.length < LONGEST) for (let w = bag.length ? bag[bag.length - 1] : 0; w < STOP; w++) grow([...bag, w]);
  })([]);
  const bagOf = (thought) => BAG.get([...thought].sort((a, b) => a - b).join(","));
  const THOUGHTS = [[]];
  for (let from = 0, n = 0; n < LONGEST; n++) {
    const to = THOUGHTS.length;
    for (; from < to; from++) for (let w = 0; w < STOP; w++) THOUGHTS.push([...THOUGHTS[from], w]);
  }
  const BAG_OF = THOUGHTS.map(bagOf);
  const PATHS = THOUGHTS.map((thought) => stepsOf(thought).map(([last, word]) => last * CHOICES + word));

  function greedyThought(theta, c) {
    const thought = [];
    while (thought.length < LONGEST) {
      const at = rowOf(c, thought.length ? thought[thought.length - 1] : START);
      let word = 0;
      for (let w = 1; w < CHOICES; w++) if (theta[at + w] > theta[at + word]) word = w;
      if (word === STOP) break;
      thought.push(word);
    }
    return thought;
  }

  // Everything a policy does in one context: prob of every thought, items of every bag, the merged distribution.
  function sums(theta, c) {
    const p = wordProbs(theta, c).flat();
    const prob = PATHS.map((path) => path.reduce((product, choice) => product * p[choice], 1));
    const ofBag = new Array(BAGS.length).fill(0);
    prob.forEach((x, n) => { ofBag[BAG_OF[n]] += x; });
    const items = BAGS.map((bag) => itemProbs(theta, c, bag));
    const merged = new Array(N_ITEMS).fill(0);
    items.forEach((row, b) => row.forEach((x, i) => { merged[i] += ofBag[b] * x; }));
    return { prob, ofBag, items, merged, greedy: greedyThought(theta, c) };
  }

  // What a bag states (each facet once), how many of its words are fillers, whether it names the teacher's prior.
  const STATED = BAGS.map((bag) => [...new Set(bag)].filter((w) => w < FACETS));
  const FILLED_IN = BAGS.map((bag) => bag.filter((w) => w >= FACETS).length);
  const NAMES_PRIOR = BAGS.map((bag) => PRIOR.every((w) => bag.includes(w)));

  function measure(theta) {
    const total = { one: 0, thought: 0, merged: 0, direct: 0, entropy: 0, true_words: 0, fillers: 0, prior: 0 };
    for (let c = 0; c < N_CONTEXTS; c++) {
      const s = sums(theta, c), wanted = TRUTH[c];
      const isTrue = new Array(FACETS).fill(0);
      TOKENS.forEach((tokens, i) => tokens.forEach((w) => { isTrue[w] += wanted[i]; }));
      const ofBag = s.items.map((p) => quality(best(p), wanted));
      let stated = 0, right = 0, words = 0, fillers = 0, prior = 0, thought = 0;
      BAGS.forEach((bag, b) => {
        stated += s.ofBag[b] * STATED[b].length;
        for (const w of STATED[b]) right += s.ofBag[b] * isTrue[w];
        words += s.ofBag[b] * bag.length;
        fillers += s.ofBag[b] * FILLED_IN[b];
        if (NAMES_PRIOR[b]) prior += s.ofBag[b];
        thought += s.ofBag[b] * ofBag[b];
      });
      total.one += ofBag[bagOf(s.greedy)];
      total.thought += thought;
      total.merged += quality(best(s.merged), wanted);
      total.direct += ofBag[0];
      total.entropy += s.prob.reduce((h, p) => h - (p > 0 ? p * Math.log2(p) : 0), 0);
      total.true_words += right / stated;
      total.fillers += fillers / words;
      total.prior += prior;
    }
    for (const k of Object.keys(total)) total[k] /= N_CONTEXTS;
    return total;
  }

  const ceiling = () => TRUTH.reduce((sum, row) => sum + quality(best(row), row), 0) / N_CONTEXTS;

  // -- training (training.py) -----------------------------------------------------------------------------------
  const DEFAULTS = {
    seed: 0, bias: 0, align: 150, distil: 200, rl: 300, consolidate: 0, rounds: 1, only_wrong: false, judge: "list",
    credit: 0, facts: 0, batch: 16, group: 8, temperature: 1, kl: 0.02, lr: 8, rl_lr: 8,
  };

  function advantages(reward) {
    const mean = reward.reduce((a, b) => a + b, 0) / reward.length;
    const std = Math.sqrt(reward.reduce((a, r) => a + (r - mean) ** 2, 0) / (reward.length - 1));
    return std > 1e-8 ? reward.map((r) => (r - mean) / (std + 1e-4)) : null; // null: a silent group
  }

  // Of the facets that a thought states: how many are the item's, less how many are not.
  function trueFacts(thought, item) {
    const stated = [...new Set(thought)].filter((w) => w < FACETS);
    return stated.reduce((sum, w) => sum + (TOKENS[item].includes(w) ? 1 : -1), 0);
  }

  class Trainer {
    constructor(settings = {}) {
      const s = this.settings = { ...DEFAULTS, ...settings };
      const repeat = (stage, n) => new Array(n).fill(stage);
      this.plan = [...repeat("align", s.align), ...repeat("distil", s.distil)];
      for (let n = 0; n < s.rounds; n++) this.plan.push(...repeat("rl", s.rl), ...repeat("consolidate", s.consolidate));
      this.done = 0;
      this.generator = new Generator(s.seed);
      this.theta = startingParameters(this.generator);
      this.clicks = cumulate(TRUTH.flat());
      this.requests = this.clicks;
      this.start = this.theta;
      this.lists = new Map();
    }

    get stage() { return this.plan[Math.min(this.done, this.plan.length - 1)]; }
    get finished() { return this.done >= this.plan.length; }

    step() {
      const stage = this.plan[this.done];
      if (this.done === 0 || this.plan[this.done - 1] !== stage) this.begin(stage);
      this.done += 1;
      return this[stage]();
    }

    begin(stage) {
      this.start = this.theta.slice();
      this.lists = new Map();
      this.requests = this.clicks;
      if (stage === "rl" && this.settings.only_wrong) {
        const weight = TRUTH.map((row) => [...row]);
        weight.forEach((row, c) => { row[this.listOf(this.start, c, greedyThought(this.start, c))[0]] = 0; });
        this.requests = cumulate(weight.flat());
      }
    }

    request() {
      const n = this.generator.below(this.requests);
      return [Math.floor(n / N_ITEMS), n % N_ITEMS];
    }

    climb(gradient, rate) { for (let n = 0; n < N_PARAMETERS; n++) this.theta[n] += rate * gradient[n]; }

    align() {
      const gradient = new Float64Array(N_PARAMETERS), share = new Array(3).fill(1 / this.settings.batch);
      for (let n = 0; n < this.settings.batch; n++) {
        if (n % 2 === 0) {
          const [c, item] = this.request();
          addItem(gradient, this.theta, c, [], item, share);
        } else {
          const item = Math.floor(this.generator.uniform() * N_ITEMS);
          addItem(gradient, this.theta, NOWHERE, TOKENS[item], item, share);
        }
      }
      this.climb(gradient, this.settings.lr);
      return {};
    }

    distil() {
      const requests = Array.from({ length: this.settings.batch }, () => this.request());
      this.learn(requests.map(([c, item]) => [c, this.lesson(item), item]));
      return {};
    }

    lesson(item) {
      const [category, ...own] = TOKENS[item], g = this.generator;
      const named = [category, ...(g.uniform() < this.settings.bias ? PRIOR : own)];
      return named.map((word) => (g.uniform() < FILLED ? STOP - 3 + Math.floor(g.uniform() * 3) : word));
    }

    learn(lessons) {
      const gradient = new Float64Array(N_PARAMETERS), share = new Array(4).fill(1 / this.settings.batch), probs = {};
      for (const [c, thought, item] of lessons) {
        probs[c] ??= wordProbs(this.theta, c);
        addThought(gradient, probs[c], c, thought, share);
        addItem(gradient, this.theta, c, thought, item, share);
      }
      this.climb(gradient, this.settings.lr);
    }

    consolidate() {
      const kept = [], cumulative = this.cumulative(this.start);
      for (let n = 0; n < this.settings.batch; n++) {
        const [c, item] = this.request();
        for (let tried = 0; tried < 2; tried++) {
          const thought = this.think(cumulative(c));
          if (this.listOf(this.start, c, thought)[0] === item) { kept.push([c, thought, item]); break; }
        }
      }
      this.learn(kept);
      return { kept: kept.length / this.settings.batch };
    }

    // -> context -> cumulative word probabilities at the rollout's temperature, computed when first asked for.
    cumulative(theta) {
      const known = {};
      return (c) => (known[c] ??= wordProbs(theta, c, this.settings.temperature).map(cumulate));
    }

    think(cumulative) {
      const thought = [];
      while (thought.length < LONGEST) {
        const word = this.generator.below(cumulative[thought.length ? thought[thought.length - 1] : START]);
        if (word === STOP) break;
        thought.push(word);
      }
      return thought;
    }

    listOf(theta, c, thought) {
      const key = c * BAGS.length + bagOf(thought);
      if (!this.lists.has(key)) this.lists.set(key, best(itemProbs(theta, c, thought)));
      return this.lists.get(key);
    }

    drawItem(c, thought) {
      let item = 0;
      [8, 4, 1].forEach((stride, level) => {
        const p = idProbs(this.theta, c, thought, item)[level];
        item += stride * this.generator.below(cumulate(p.map((x) => x ** (1 / this.settings.temperature))));
      });
      return item;
    }

    rl() {
      const s = this.settings, drawn = s.judge === "drawn", gradient = new Float64Array(N_PARAMETERS);
      if (drawn) this.lists = new Map(); // its loss covers the ID, so the decoder moves
      const cumulative = this.cumulative(this.theta), now = {}, then = {};
      let total = 0, silent = 0;
      for (let n = 0; n < s.batch; n++) {
        const [c, target] = this.request(), group = [], reward = [];
        now[c] ??= wordProbs(this.theta, c);
        then[c] ??= wordProbs(this.start, c);
        for (let g = 0; g < s.group; g++) {
          const thought = this.think(cumulative(c)), item = drawn ? this.drawItem(c, thought) : -1;
          group.push([thought, item]);
          const ofList = listWorth(drawn ? [item] : this.listOf(this.theta, c, thought), target, s.judge, s.credit);
          reward.push(ofList + s.facts * trueFacts(thought, target));
        }
        total += reward.reduce((a, b) => a + b, 0);
        const advantage = advantages(reward);
        if (!advantage) { silent += 1; continue; }
        group.forEach(([thought, item], g) => {
          const path = stepsOf(thought), weight = 1 / (path.length + (drawn ? 3 : 0)) / (s.batch * s.group);
          // Of advantage * log pi - kl * (exp(gap) - gap - 1) the slope in log pi, at each choice.
          const slope = (before, after) => weight * (advantage[g] - s.kl * (1 - before / after));
          addThought(gradient, now[c], c, thought, path.map(([last, w]) => slope(then[c][last][w], now[c][last][w])));
          if (drawn) {
            const old = idProbs(this.start, c, thought, item), p = idProbs(this.theta, c, thought, item);
            const at = TOKENS[item].map((w, level) => w - LEVELS[level]);
            addItem(gradient, this.theta, c, thought, item, at.map((t, level) => slope(old[level][t], p[level][t])));
          }
        });
      }
      this.climb(gradient, s.rl_lr);
      return { reward: total / (s.batch * s.group), silent: silent / s.batch };
    }
  }

  globalThis.EnumerableShop = {
    WORDS, CONTEXTS, TOKENS, TRUTH, THOUGHTS, BAG_OF, DEFAULTS, N_PARAMETERS, Generator, Trainer, name, say, best, quality,
    sums, measure, ceiling, bagOf, listWorth, greedyThought, BAGS, PATHS, CHOICES, wordProbs,
  };
})();
