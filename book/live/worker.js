// The part of the page that computes. It runs beside the page, so the page stays awake; they talk in messages.
"use strict";

let codec, latest = 0;
const models = {}; // name -> its weights as text, or { model, prompt: the tokens in its cache }

// A model is made when it is first asked.
function modelOf(name) {
  if (typeof models[name] === "string") {
    const letters = atob(models[name]), bytes = new Uint8Array(letters.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
    models[name] = { model: new Llama(codec.config, readSafetensors(bytes.buffer)), prompt: null };
  }
  return models[name];
}

const load = ({ name, weights }) => void (models[name] = weights);

// Everything between text and models, made once from what the page sends.
function start({ data, weights }) {
  const { control } = data;
  const tokenizer = new Tokenizer(data.tokenizer, Object.values(control));
  load({ name: "reasons", weights });
  const trie = new Trie(data.items.map((item) => tokenizer.encode(item.sid)));
  const id = (name) => tokenizer.idOf.get(control[name]);
  const builder = new ContextBuilder(data.items, (text) => tokenizer.encode(text).length, data.context);
  codec = { tokenizer, trie, builder, most: data.max_reasoning, end: id("end_think"), config: data.config };
  codec.tokens = (text) => [id("bos"), ...tokenizer.encode(text), id("think")];
}

function read(request, name = "reasons") {
  const text = codec.builder.build(request), tokens = codec.tokens(text);
  const known = modelOf(name), before = known.prompt;
  known.prompt = null; // until these tokens are in the cache, nothing is
  const branch = plant(known.model, tokens, before);
  known.prompt = tokens;
  return { text, tokens, branch, model: known.model };
}

// Let the page's next message in: a newer search stops this one.
const channel = new MessageChannel();
const waiting = [];
channel.port1.onmessage = () => waiting.shift()();
async function breathe(job) {
  await new Promise((go) => {
    waiting.push(go);
    channel.port2.postMessage(0);
  });
  if (job !== latest) throw new Error("stopped");
}

// One search. model: "reasons" or "direct". reasoning: "own" (the likeliest words), "sampled" (`thoughts` of them at a `temperature`), "none", or
// "given" (`text`). beams: how wide each search is; k: how long the list.
async function search({ request, reasoning, text, thoughts, temperature, seed, free, model: which, k, beams }, job, tell) {
  const { tokenizer, trie, end } = codec;
  const context = read(request, which), model = context.model;
  tell({ context: context.text, tokens: context.tokens.map((token) => tokenizer.decode([token])) });
  await breathe(job);
  let found;
  if (reasoning === "own" || reasoning === "sampled") {
    const how = reasoning === "own" ? { n: 1, temperature: 0 } : { n: thoughts, temperature };
    const options = { ...how, end, most: codec.most, random: randomFrom(seed ?? 0) };
    found = await think(model, context.branch, options, async (sofar) => {
      tell({ thoughts: sofar.map((thought) => tokenizer.decode(thought.tokens)) });
      await breathe(job);
    });
  } else {
    const room = model.longest - context.tokens.length - 1 - trie.depth;
    const tokens = reasoning === "given" ? tokenizer.encode(text, true).slice(0, room) : [];
    found = [{ tokens, closed: true, branch: force(model, context.branch, [...tokens, end]) }];
  }
  const lists = [];
  for (const thought of found) {
    lists.push(beamSearch(model, thought.branch, trie, beams, free));
    await breathe(job);
  }
  const name = (row) => ({ ...row, sid: tokenizer.decode(row.tokens) });
  return {
    thoughts: found.map(({ tokens, closed }, i) => ({
      text: tokenizer.decode(tokens), tokens, closed, first: name(lists[i][0]),
    })),
    list: merge(lists).slice(0, k).map(name),
  };
}

// What can be asked. The page itself only starts and searches; the rest lets anyone compare with Python.
const answers = {
  start,
  load,
  search,
  escape: ({ text }) => escapeText(text),
  encode: ({ text, typed }) => codec.tokenizer.encode(text, typed),
  decode: ({ tokens }) => codec.tokenizer.decode(tokens),
  read: ({ request, model }) => {
    const { text, tokens, branch } = read(request, model);
    return { text, tokens, logits: Array.from(branch.logits) };
  },
};

onmessage = async ({ data: { id, kind, ...rest } }) => {
  if (kind === "search") latest = id;
  try {
    const tell = (progress) => postMessage({ id, progress });
    postMessage({ id, result: await answers[kind](rest, id, tell) });
  } catch (fault) {
    postMessage({ id, error: String(fault?.message ?? fault) });
  }
};
