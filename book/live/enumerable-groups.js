// How noisy a group is as a judge of thoughts, exactly: crs_lite/enumerable/groups.py in JavaScript. Nothing is sampled.
"use strict";
(() => {
  const { BAGS, BAG_OF, PATHS, CHOICES, wordProbs, best, listWorth } = EnumerableShop;

  // Of every thought: each row of choices that it visits, how often, and how often it took which choice there.
  const VISITS = PATHS.map((path) => {
    const rows = new Map();
    for (const choice of path) {
      const last = Math.floor(choice / CHOICES);
      if (!rows.has(last)) rows.set(last, { last, visits: 0, took: new Map() });
      const row = rows.get(last);
      row.visits += 1;
      row.took.set(choice, (row.took.get(choice) ?? 0) + 1);
    }
    return [...rows.values()].map(({ last, visits, took }) => ({ last, visits, took: [...took] }));
  });

  // Of the thoughts that earn each of the rewards there are: how probable they are, the mean of their score
  // d log pi / d words (13 x 13 numbers), and the spread of the score around it.
  function outcomes(theta, c, s, target, judge) {
    s.lists ??= s.items.map((p) => best(p));
    const sure = judge === "drawn" ? null : s.lists.map((list) => Math.round(listWorth(list, target, judge, 0) * 1e12));
    const kinds = new Map();
    const of = (reward) => {
      if (!kinds.has(reward)) {
        kinds.set(reward, { reward, chance: 0, square: 0, taken: new Float64Array(CHOICES ** 2), rows: new Float64Array(CHOICES) });
      }
      return kinds.get(reward);
    };
    const probs = wordProbs(theta, c), squares = probs.map((row) => row.reduce((sum, p) => sum + p * p, 0));
    VISITS.forEach((visited, n) => {
      // |score|^2: on every row that the thought visits, the choices it took less how often it was there times the row.
      let square = 0;
      for (const { last, visits, took } of visited) {
        square += visits ** 2 * squares[last];
        for (const [choice, times] of took) square += times ** 2 - 2 * visits * times * probs[last][choice % CHOICES];
      }
      const hit = s.items[BAG_OF[n]][target];
      const earned = sure ? [[sure[BAG_OF[n]] / 1e12, 1]] : [[0, 1 - hit], [1, hit]];
      for (const [reward, share] of earned) {
        const kind = of(reward), p = s.prob[n] * share;
        kind.chance += p;
        kind.square += p * square;
        for (const { last, visits, took } of visited) {
          kind.rows[last] += p * visits;
          for (const [choice, times] of took) kind.taken[choice] += p * times;
        }
      }
    });
    return [...kinds.values()].filter((k) => k.chance > 1e-300).map(({ reward, chance, square, taken, rows }) => {
      const mean = taken.map((t, at) => (t - rows[Math.floor(at / CHOICES)] * probs[Math.floor(at / CHOICES)][at % CHOICES]) / chance);
      return { reward, chance, mean, spread: square / chance - dot(mean, mean) };
    });
  }

  const dot = (a, b) => a.reduce((sum, x, n) => sum + x * b[n], 0);

  // `see` every way in which `group` trajectories can share out the rewards: tally[k] of them earn reward k.
  function eachTally(tally, group, see, at = 0) {
    if (at === tally.length - 1) {
      tally[at] = group;
      see();
    } else for (tally[at] = 0; tally[at] <= group; tally[at]++) eachTally(tally, group - tally[at], see, at + 1);
  }

  // A group's gradient: its variance over its squared mean (how many groups until noise is no larger than signal), and
  // the probability that all rewards are equal, so that the group is silent. The reward is without partial credit.
  function groupNoise(theta, c, s, target, judge, group) {
    const kinds = outcomes(theta, c, s, target, judge), C = kinds.length;
    const gram = kinds.map((a) => kinds.map((b) => dot(a.mean, b.mean)));
    const factorial = [1], tally = new Array(C).fill(0), weight = new Array(C);
    for (let n = 1; n <= group; n++) factorial.push(n * factorial[n - 1]);
    const pull = new Array(C).fill(0); // the mean estimate, as a mixture of the kinds' mean scores
    let second = 0, silent = 0;
    eachTally(tally, group, () => {
      let p = factorial[group], sum = 0, square = 0;
      for (let k = 0; k < C; k++) {
        p *= kinds[k].chance ** tally[k] / factorial[tally[k]];
        sum += tally[k] * kinds[k].reward;
      }
      for (let k = 0; k < C; k++) square += tally[k] * (kinds[k].reward - sum / group) ** 2;
      const std = Math.sqrt(square / (group - 1));
      if (std <= 1e-8) { silent += p; return; }
      for (let k = 0; k < C; k++) weight[k] = tally[k] * (kinds[k].reward - sum / group) / (std + 1e-4) / group;
      for (let k = 0; k < C; k++) {
        pull[k] += p * weight[k];
        if (tally[k]) second += p * weight[k] ** 2 / tally[k] * kinds[k].spread;
        for (let j = 0; j < C; j++) second += p * weight[k] * weight[j] * gram[k][j];
      }
    });
    let signal = 0;
    for (let k = 0; k < C; k++) for (let j = 0; j < C; j++) signal += pull[k] * pull[j] * gram[k][j];
    const variance = second - signal;
    return { variance, signal, silent, groups: signal > 0 ? variance / signal : Infinity };
  }

  Object.assign(EnumerableShop, { groupNoise });
})();
