// How noisy a group is as a judge of thoughts, exactly: crs_lite/enumerable/groups.py in JavaScript. Nothing is sampled.
"use strict";
(() => {
  const { BAGS, BAG_OF, PATHS, CHOICES, wordProbs, best, listWorth } = EnumerableShop;

  // Of the thoughts that earn each of the rewards there are: how probable they are, the mean of their score
  // d log pi / d words (13 x 13 numbers), and the spread of the score around it.
  function outcomes(theta, c, s, target, judge) {
    const sure = judge === "drawn" ? null : s.items.map((p) => Math.round(listWorth(best(p), target, judge, 0) * 1e12));
    const kinds = new Map();
    const of = (reward) => {
      if (!kinds.has(reward)) {
        kinds.set(reward, { reward, chance: 0, square: 0, taken: new Float64Array(CHOICES ** 2), rows: new Float64Array(CHOICES) });
      }
      return kinds.get(reward);
    };
    const probs = wordProbs(theta, c), squares = probs.map((row) => row.reduce((sum, p) => sum + p * p, 0));
    PATHS.forEach((path, n) => {
      // |score|^2: on every row that the path visits, the choices it took less how often it was there times the row.
      const there = new Map();
      for (const choice of path) {
        const last = Math.floor(choice / CHOICES);
        if (!there.has(last)) there.set(last, new Map());
        there.get(last).set(choice, (there.get(last).get(choice) ?? 0) + 1);
      }
      let square = 0;
      for (const [last, took] of there) {
        let visits = 0;
        for (const times of took.values()) visits += times;
        square += visits ** 2 * squares[last];
        for (const [choice, times] of took) square += times ** 2 - 2 * visits * times * probs[last][choice % CHOICES];
      }
      const hit = s.items[BAG_OF[n]][target];
      const earned = sure ? [[sure[BAG_OF[n]] / 1e12, 1]] : [[0, 1 - hit], [1, hit]];
      for (const [reward, share] of earned) {
        const kind = of(reward), p = s.prob[n] * share;
        kind.chance += p;
        kind.square += p * square;
        for (const choice of path) {
          kind.taken[choice] += p;
          kind.rows[Math.floor(choice / CHOICES)] += p;
        }
      }
    });
    return [...kinds.values()].filter((k) => k.chance > 1e-300).map(({ reward, chance, square, taken, rows }) => {
      const mean = taken.map((t, at) => (t - rows[Math.floor(at / CHOICES)] * probs[Math.floor(at / CHOICES)][at % CHOICES]) / chance);
      return { reward, chance, mean, spread: square / chance - dot(mean, mean) };
    });
  }

  const dot = (a, b) => a.reduce((sum, x, n) => sum + x * b[n], 0);

  // Every way in which `group` trajectories can share out `kinds` rewards: how many earn each.
  function* tallies(kinds, group) {
    if (kinds === 1) yield [group];
    else for (let n = 0; n <= group; n++) for (const rest of tallies(kinds - 1, group - n)) yield [n, ...rest];
  }

  // A group's gradient: its variance over its squared mean (how many groups until noise is no larger than signal), and
  // the probability that all rewards are equal, so that the group is silent. The reward is without partial credit.
  function groupNoise(theta, c, s, target, judge, group) {
    const kinds = outcomes(theta, c, s, target, judge), C = kinds.length;
    const gram = kinds.map((a) => kinds.map((b) => dot(a.mean, b.mean)));
    const factorial = [1];
    for (let n = 1; n <= group; n++) factorial.push(n * factorial[n - 1]);
    const pull = new Array(C).fill(0); // the mean estimate, as a mixture of the kinds' mean scores
    let second = 0, silent = 0;
    for (const tally of tallies(C, group)) {
      let p = factorial[group], sum = 0, square = 0;
      for (let k = 0; k < C; k++) {
        p *= kinds[k].chance ** tally[k] / factorial[tally[k]];
        sum += tally[k] * kinds[k].reward;
      }
      for (let k = 0; k < C; k++) square += tally[k] * (kinds[k].reward - sum / group) ** 2;
      const std = Math.sqrt(square / (group - 1));
      if (std <= 1e-8) { silent += p; continue; }
      const weight = kinds.map((kind, k) => tally[k] * (kind.reward - sum / group) / (std + 1e-4) / group);
      for (let k = 0; k < C; k++) {
        pull[k] += p * weight[k];
        if (tally[k]) second += p * weight[k] ** 2 / tally[k] * kinds[k].spread;
        for (let j = 0; j < C; j++) second += p * weight[k] * weight[j] * gram[k][j];
      }
    }
    let signal = 0;
    for (let k = 0; k < C; k++) for (let j = 0; j < C; j++) signal += pull[k] * pull[j] * gram[k][j];
    const variance = second - signal;
    return { variance, signal, silent, groups: signal > 0 ? variance / signal : Infinity };
  }

  Object.assign(EnumerableShop, { groupNoise });
})();
