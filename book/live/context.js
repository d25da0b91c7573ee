// One search request -> the JSON text that the model reads. The same as crs_lite/context.py, line by line.
"use strict";

const TEXT_BYTES = 160; // per typed text, after escaping

// Typed text as it stands between JSON quotes. "<" becomes \u003c: every control token and every ID token holds a "<",
// so no typed text can become one. Cut to 160 bytes, never inside a character; lone surrogates become U+FFFD.
function escapeText(text) {
  let out = "", size = 0, characters = 0;
  for (const char of text) {
    if (characters++ === TEXT_BYTES) break;
    const piece = char === "<" ? "\\u003c" : JSON.stringify(isLone(char) ? "\ufffd" : char).slice(1, -1);
    size += new TextEncoder().encode(piece).length;
    if (size > TEXT_BYTES) break;
    out += piece;
  }
  return out;
}

// for...of walks by characters, and half a surrogate pair is a character of its own.
function isLone(char) {
  return char.length === 1 && char >= "\ud800" && char <= "\udfff";
}

class ContextBuilder {
  // items: [{title, sid}]. countTokens(text) -> how many tokens the model would read.
  // options: budget (tokens of the whole text), item_view ("sid", "title" or "both"), max_history, max_skipped.
  constructor(items, countTokens, options) {
    Object.assign(this, { items, countTokens, options });
  }

  itemText(item) {
    const { title, sid } = this.items[item], view = this.options.item_view;
    return `"${view === "title" ? "" : sid}${view === "sid" ? "" : escapeText(title)}"`;
  }

  pastText(past) {
    return object([
      ["time", past.time && `"${escapeText(past.time)}"`],
      ["place", past.place && `"${escapeText(past.place)}"`],
      ["query", `"${escapeText(past.query)}"`],
      ["clicked", list(past.clicked.map((i) => this.itemText(i)))],
      ["skipped", past.skipped.length && list(past.skipped.map((i) => this.itemText(i)))],
    ]);
  }

  text({ profile, history, now }) {
    const facts = Object.entries(profile).map(([key, value]) => [escapeText(key), `"${escapeText(value)}"`]);
    return object([
      ["profile", facts.length && object(facts)],
      ["history", history.length && list(history.map((past) => this.pastText(past)))],
      ["request", object(["time", "place", "entrance", "query"].map((key) => [
        key, key === "query" || now[key] ? `"${escapeText(now[key])}"` : "",
      ]))],
    ]);
  }

  // request: {profile, history: oldest first, now: {time, place, entrance, query}}. What does not fit the budget is
  // dropped: the oldest interactions until one is left, its skipped items, that interaction, the profile, the entrance,
  // the place, the query's tail, the time.
  build(request) {
    const { budget, max_history: most, max_skipped: skips } = this.options;
    const recent = most ? request.history.slice(-most) : [];
    let past = recent.map((p) => ({ ...p, skipped: p.skipped.slice(0, skips) }));
    let { profile, now } = request;
    // Sizes of single interactions say where to start; the exact count below decides.
    let room = budget - this.countTokens(this.text({ profile, history: [], now }));
    let keep = 0;
    while (keep < past.length && (room -= this.countTokens(this.pastText(past.at(-1 - keep))) - 1) >= 0) keep++;
    past = past.slice(-(keep || 1));
    for (;;) {
      const text = this.text({ profile, history: past, now });
      if (this.countTokens(text) <= budget) return text;
      if (past.length > 1) past = past.slice(1);
      else if (past.length && past[0].skipped.length) past = [{ ...past[0], skipped: past[0].skipped.slice(0, -1) }];
      else if (past.length) past = [];
      else if (Object.keys(profile).length) profile = {};
      else if (now.entrance) now = { ...now, entrance: null };
      else if (now.place) now = { ...now, place: null };
      else {
        const characters = Array.from(now.query);
        if (characters.length < 2 && !now.time) throw new Error(`no context fits in ${budget} tokens`);
        if (characters.length < 2) now = { ...now, time: null };
        else now = { ...now, query: characters.slice(0, characters.length >> 1).join("") };
      }
    }
  }
}

// JSON without spaces; a field without a value is left out.
function object(fields) {
  return `{${fields.filter(([, value]) => value).map(([key, value]) => `"${key}":${value}`).join(",")}}`;
}

function list(values) {
  return `[${values.join(",")}]`;
}
