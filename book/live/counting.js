// The counting model: a weighted sum of counted numbers, no language (crs_lite/baselines/counting.py, line by line).
"use strict";

// Facts of a request: what was typed, where and in which month, who asks. Named as Python names them.
function factsOf({ profile, now }, month) {
  const query = now.query.toLowerCase().split(/\s+/).filter(Boolean).join(" ");
  const known = Object.entries(profile).flatMap(([name, text]) => text.split(", ").map((part) => [name, part]));
  return { query: [[query]], season: [[now.place, month]], profile: known };
}

// How much likelier each value of a facet is behind a fact than everywhere: log P(value | fact) / P(value), smoothed.
function ratios(here, everywhere, smoothing) {
  const sum = (counts) => counts.reduce((a, b) => a + b, 0);
  const all = sum(everywhere) + everywhere.length, n = sum(here);
  return here.map((count, v) => {
    const prior = (everywhere[v] + 1) / all;
    return Math.log((count + smoothing * prior) / (n + smoothing) / prior);
  });
}

// -> the ids of the k items with the highest score; of equal ones the smaller id.
function countingList({ keys, values, clicks, behind, weights, smoothing, n_past }, items, request, month, k) {
  const number = values.map((of) => new Map(of.map((value, n) => [value, n])));
  const value = items.map(({ facets }) => keys.map((key, f) => number[f].get(facets[key]) ?? -1)); // (N, F)
  const everywhere = values.map((of) => of.map(() => 0)); // clicks of every value
  value.forEach((of, i) => of.forEach((v, f) => v >= 0 && (everywhere[f][v] += clicks[i])));
  const past = request.history.slice(-n_past).flatMap(({ clicked }) => clicked);
  const score = items.map((_, i) => weights[0] * Math.log(clicks[i] + 1));
  Object.entries(factsOf(request, month)).forEach(([kind, facts], part) => {
    for (const fact of facts) {
      const counts = behind[JSON.stringify([kind, ...fact])];
      if (!counts) continue; // never seen: it says nothing
      const lift = counts.map((here, f) => ratios(here, everywhere[f], smoothing));
      value.forEach((of, i) => of.forEach((v, f) => (score[i] += v < 0 ? 0 : weights[1 + part] * lift[f][v])));
    }
  });
  keys.forEach((_, f) => {
    const seen = new Map(); // value -> how many past clicks have it
    for (const i of past) seen.set(value[i][f], (seen.get(value[i][f]) ?? 0) + 1);
    value.forEach((of, i) => {
      if (of[f] >= 0) score[i] += (weights[4 + f] * (seen.get(of[f]) ?? 0)) / (past.length + 1);
    });
  });
  for (const i of new Set(past)) score[i] += weights.at(-1);
  return [...score.keys()].sort((a, b) => score[b] - score[a] || a - b).slice(0, k);
}
