// Reasoning first, then beams along the trie: what crs_lite/decode.py and crs_lite/trie.py do.
//
// A *branch* is a place in the text where something may go on: its path of columns, and the logits of the next token.
"use strict";

// -- growing branches ----------------------------------------------------------------------------

// Read a prompt. The columns of the last prompt are still there: as far as both begin alike, they serve again. The
// query stands last in a context, so another query costs a few tokens only.
function plant(model, tokens, before) {
  let same = 0;
  while (same < tokens.length - 1 && before && tokens[same] === before[same]) same++;
  model.columns = same; // everything behind is forgotten
  const root = { path: Int32Array.from({ length: same }, (_, i) => i), logits: null };
  return force(model, root, tokens.slice(same));
}

// Append given tokens to a branch.
function force(model, branch, tokens) {
  const known = branch.path.length, path = new Int32Array(known + tokens.length);
  path.set(branch.path);
  for (let t = 0; t < tokens.length; t++) path[known + t] = model.columns + t;
  const paths = tokens.map((_, t) => path.subarray(0, known + t));
  const [logits] = model.forward(tokens, paths, [tokens.length - 1]);
  return { path, logits };
}

// Append one token to each of several branches, in one go.
function feed(model, branches, tokens) {
  const first = model.columns;
  const logits = model.forward(tokens, branches.map((branch) => branch.path));
  return branches.map((branch, i) => {
    const path = new Int32Array(branch.path.length + 1);
    path.set(branch.path);
    path[branch.path.length] = first + i;
    return { path, logits: logits[i] };
  });
}

// -- reasoning -----------------------------------------------------------------------------------

// Write `n` thoughts from one branch, token by token, until each has written the token `end`; what is still open after
// `most` tokens is closed by force. Temperature 0 takes the likeliest token. `step(thoughts)` is awaited after each
// token; it shows what is there and may throw to stop. -> [{tokens, closed, branch}], branch behind `end`.
async function think(model, root, { n, end, most, temperature, random }, step) {
  const thoughts = Array.from({ length: n }, () => ({ tokens: [], closed: false, branch: root }));
  let open = thoughts;
  for (let t = 0; t < most && open.length; t++) {
    const drawn = open.map((thought) => (t === most - 1 ? end : draw(thought.branch.logits, temperature, random)));
    const grown = feed(model, open.map((thought) => thought.branch), drawn);
    open.forEach((thought, i) => {
      thought.branch = grown[i];
      if (drawn[i] === end) thought.closed = t < most - 1;
      else thought.tokens.push(drawn[i]);
    });
    open = open.filter((_, i) => drawn[i] !== end);
    await step(thoughts);
  }
  return thoughts;
}

// One token: the likeliest at temperature 0, else drawn from softmax(logits / temperature).
function draw(logits, temperature, random) {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
  if (temperature === 0) return best;
  let total = 0;
  const share = new Float64Array(logits.length);
  for (let i = 0; i < logits.length; i++) total += share[i] = Math.exp((logits[i] - logits[best]) / temperature);
  let left = random() * total;
  for (let i = 0; i < share.length; i++) if ((left -= share[i]) < 0) return i;
  return best;
}

// Random numbers in [0, 1) from a seed (mulberry32): the same seed gives the same thoughts.
function randomFrom(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

// -- the catalogue's trie --------------------------------------------------------------------------

// Which token may follow which prefix of an ID. Nodes are numbered level by level, 0 is the root; the children of node
// v are the edges first[v] .. first[v + 1] - 1, and edge e leads to node e + 1.
class Trie {
  // ids: for every item the token ids of its name, all of the same length.
  constructor(ids) {
    this.depth = ids[0].length;
    this.first = [0];
    this.token = [];
    const byName = (a, b) => {
      for (let l = 0; l < this.depth; l++) if (ids[a][l] !== ids[b][l]) return ids[a][l] - ids[b][l];
      return 0;
    };
    // Every node of a level holds the items below it, in order of their names.
    let level = [ids.map((_, item) => item).sort(byName)];
    for (let l = 0; l < this.depth; l++) {
      const below = [];
      for (const items of level) {
        items.forEach((item, i) => {
          if (i === 0 || ids[item][l] !== ids[items[i - 1]][l]) {
            this.token.push(ids[item][l]);
            below.push([]);
          }
          below.at(-1).push(item);
        });
        this.first.push(this.token.length);
      }
      level = below;
    }
    this.inner = this.first.length - 1; // nodes with children; the leaves are numbered after them
    this.leaves = level.map(([item]) => item);
  }

  children(node) {
    const out = [];
    for (let e = this.first[node]; e < this.first[node + 1]; e++) out.push({ token: this.token[e], node: e + 1 });
    return out;
  }

  // The item of a leaf; null for another node.
  item(node) {
    return this.leaves[node - this.inner] ?? null;
  }

  // The node behind these tokens, -1 where no item's name begins like this.
  walk(tokens) {
    let node = 0;
    for (const token of tokens) {
      node = node < this.inner ? this.children(node).find((child) => child.token === token)?.node ?? -1 : -1;
      if (node < 0) return -1;
    }
    return node;
  }
}

// Beam search: the k best IDs behind a branch. Scores are log-probabilities over the full vocabulary, not only over the
// tokens the trie allows. Equal scores stand in the order of the trie. Without the trie (`free`) every token may follow,
// and what comes out may name no item. -> [{tokens, score, item}], best first; item null where there is none.
function beamSearch(model, branch, trie, k, free = false) {
  const any = free ? Array.from({ length: model.vocab }, (_, token) => ({ token, node: 0 })) : null;
  let beams = [{ branch, node: 0, score: 0, tokens: [] }];
  for (let level = 0; level < trie.depth; level++) {
    const grown = [];
    for (const beam of beams) {
      const { logits } = beam.branch, total = logSumExp(logits);
      for (const { token, node } of any ?? trie.children(beam.node)) {
        grown.push({ beam, token, node, score: beam.score + logits[token] - total });
      }
    }
    const kept = bestInOrder(grown, k);
    const last = level === trie.depth - 1;
    const branches = last ? [] : feed(model, kept.map((g) => g.beam.branch), kept.map((g) => g.token));
    beams = kept.map((g, i) => ({
      branch: branches[i], node: g.node, score: g.score, tokens: [...g.beam.tokens, g.token],
    }));
  }
  beams.sort((a, b) => b.score - a.score); // stable: equal ones stay in order
  return beams.map(({ tokens, score }) => ({ tokens, score, item: trie.item(trie.walk(tokens)) }));
}

// The k best by score, of equal ones the first, in the order in which they came.
function bestInOrder(all, k) {
  const order = all.map((_, i) => i).sort((a, b) => all[b].score - all[a].score || a - b);
  return order.slice(0, k).sort((a, b) => a - b).map((i) => all[i]);
}

function logSumExp(logits) {
  let most = -Infinity, total = 0;
  for (let i = 0; i < logits.length; i++) if (logits[i] > most) most = logits[i];
  for (let i = 0; i < logits.length; i++) total += Math.exp(logits[i] - most);
  return most + Math.log(total);
}

// One list from the beams of several thoughts: the mean over the thoughts of each ID's probability. What a thought's
// beams do not hold counts zero there. (crs_lite/merging.py.) Equal ones stand in the order of the trie: so that the list of
// a single thought stays as it is.
function merge(lists) {
  const sums = new Map();
  for (const { tokens, score, item } of lists.flat()) {
    const name = tokens.join(" "), known = sums.get(name) ?? { tokens, item, p: 0 };
    known.p += Math.exp(score) / lists.length;
    sums.set(name, known);
  }
  const inOrder = (a, b) => {
    const l = a.tokens.findIndex((token, i) => token !== b.tokens[i]);
    return b.p - a.p || a.tokens[l] - b.tokens[l];
  };
  return [...sums.values()].sort(inOrder).map(({ tokens, item, p }) => ({ tokens, item, score: Math.log(p) }));
}
