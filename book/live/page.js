// The page itself: what the reader chooses goes to the worker, and what comes back is shown.
"use strict";

(() => {
  const { data, weights, "worker-source": source } = self.LIVE;
  const $ = (name) => document.getElementById(`try-${name}`);
  // -- talking to the worker ------------------------------------------------------------------------
  // A page opened from the disk may not load a worker's script by its address, but may make one from its text.

  const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const asked = new Map();
  let count = 0;
  function ask(kind, question = {}, progress = () => {}) {
    return new Promise((done, fail) => {
      asked.set(++count, { done, fail, progress });
      worker.postMessage({ id: count, kind, ...question });
    });
  }
  worker.onmessage = ({ data: { id, progress, result, error } }) => {
    const question = asked.get(id);
    if (progress) return question.progress(progress);
    asked.delete(id);
    if (error === undefined) question.done(result);
    else question.fail(new Error(error));
  };
  worker.onerror = (event) => fault(`The model cannot run in this browser (${event.message}).`);

  // The other model is as large as this one: it is fetched when it is first asked.
  let direct = null;
  function fetchDirect() {
    direct ??= new Promise((done, fail) => {
      const script = document.createElement("script");
      script.src = $("reasoning").querySelector("[value=direct]").dataset.src;
      script.onload = done;
      script.onerror = () => fail(new Error("its weights are not beside this page"));
      document.head.append(script);
    }).then(() => ask("load", { name: "direct", weights: self.LIVE["weights-direct"] }));
    return direct;
  }

  // -- small help with elements: text is always text, never markup -----------------------------------

  function element(tag, content = [], attributes = {}) {
    const made = Object.assign(document.createElement(tag), attributes);
    made.append(...[content].flat());
    return made;
  }
  const fill = (node, ...content) => node.replaceChildren(...content.flat());
  const option = (text, value = text) => element("option", text, { value });
  const capital = (text) => text[0].toUpperCase() + text.slice(1);

  function say(text) {
    $("status").className = "";
    $("status").textContent = text;
  }
  function fault(text) {
    $("status").className = "try-fault";
    $("status").textContent = text;
  }

  // -- what the reader chooses -------------------------------------------------------------------------

  function label({ profile, history }, n) {
    const past = `${history.length === 10 ? "10 or more" : history.length || "no"} past searches`;
    return `${n + 1}: ${profile.gender}, ${profile.age}, ${profile.city}; ${past}`;
  }

  function chooseShopper(n) {
    const shopper = data.shoppers[n];
    $("shopper").value = n;
    fill($("profile"), Object.entries(shopper.profile).map(([key, value]) =>
      element("div", [element("dt", key), element("dd", value)])));
    const rows = shopper.history.map((past) => element("tr", [
      element("td", `${past.time}, ${past.place}`), element("td", past.query),
      element("td", past.clicked.map((i) => data.items[i].title).join("; ")),
    ]));
    fill($("history").querySelector("tbody"), rows.reverse());
    $("history").querySelector("summary").textContent = `Past searches: ${rows.length}`;
    $("month").value = shopper.month;
    $("daypart").value = shopper.daypart;
    $("place").value = shopper.now.place;
    $("query").value = shopper.now.query;
  }

  function chosen() {
    const shopper = data.shoppers[$("shopper").value];
    const time = `${data.months[$("month").value]} ${data.dayparts[$("daypart").value]}`;
    const now = { ...shopper.now, time, place: $("place").value, query: $("query").value };
    return { ...shopper, now, asFound: JSON.stringify(now) === JSON.stringify(shopper.now) };
  }

  function temperature() {
    const value = Number($("temperature").value);
    return value > 0 ? Math.min(value, 3) : data.temperature;
  }

  // The settings of an experiment, and no others: what it does not name goes back to where it was at the start.
  function setUp({ shopper = 0, month, daypart, place, query, reasoning = "own", trie = true, temperature }) {
    chooseShopper(shopper);
    for (const [name, value] of Object.entries({ month, daypart, place, query })) {
      if (value !== undefined) $(name).value = value;
    }
    $("reasoning").value = reasoning;
    $("trie").checked = trie;
    $("temperature").value = temperature ?? data.temperature;
    onReasoning();
  }

  const onReasoning = () => ($("temperature").disabled = !$("reasoning").value.startsWith("sampled"));

  // -- a search -------------------------------------------------------------------------------------------

  let before = {}; // the list that was shown last: for whom and what, and its names

  async function search(text) {
    const request = chosen(), free = !$("trie").checked;
    let [reasoning, thoughts = 1] = $("reasoning").value.split("-");
    if (text !== undefined) [reasoning, thoughts] = ["given", 1];
    const many = thoughts > 1, began = performance.now();
    $("results").hidden = false;
    $("one").hidden = many;
    $("thoughts").hidden = !many;
    if (text === undefined) $("text").value = "";
    fill($("words"));
    say("Reading …");
    const model = reasoning === "direct" ? "direct" : "reasons";
    const question = {
      request, reasoning: model === "direct" ? "none" : reasoning, text, free, model, thoughts: Number(thoughts), temperature: temperature(), seed: Date.now() >>> 0,
      k: data.k, beams: many ? data.beams : data.k,
    };
    try {
      if (model === "direct") await fetchDirect();
      const found = await ask("search", question, (news) => {
        if (news.tokens) showContext(news);
        if (news.thoughts && many) showThoughts(news.thoughts.map((text) => ({ text })));
        else if (news.thoughts) $("text").value = news.thoughts[0];
      });
      if (many) showThoughts(found.thoughts);
      else if (reasoning !== "given") $("text").value = found.thoughts[0].text;
      if (!many) offerWords();
      showLists(request, found, many);
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      const fault = found.thoughts.some((thought) => !thought.closed) ? " Reasoning that did not end was cut off." : "";
      say(`Done in ${seconds} s. First: ${nameOf(found.list[0])}.${fault}`);
    } catch (error) {
      if (error.message !== "stopped") fault(`This search failed: ${error.message}.`);
    }
  }

  // -- what is shown ---------------------------------------------------------------------------------------

  const nameOf = ({ item, sid }) => (item === null ? `no item is called ${sid}` : data.items[item].title);

  function showContext({ tokens }) {
    $("count").textContent = `${tokens.length} tokens. Those in bold are single names that no typed text can produce.`;
    const single = new Set(data.tokenizer.added_tokens.map((token) => token.content));
    fill($("tokens"), tokens.map((text) => element("span", text, { className: single.has(text) ? "try-id" : "" })));
  }

  function showThoughts(thoughts) {
    fill($("thoughts"), thoughts.map(({ text, first }) => element("li", [
      text || "…", ...(first ? [element("span", `first: ${nameOf(first)}`, { className: "try-meta" })] : []),
    ])));
  }

  function showLists(request, found, many) {
    const truth = data.informed[$("shopper").value][request.now.query];
    const best = truth ? truth[data.bands[request.now.place][$("month").value]] : [];
    const clicked = request.asFound ? request.clicked : null;
    const of = JSON.stringify([$("shopper").value, request.now.query]); // only lists of one search are compared
    const mark = (text) => element("span", text, { className: "try-mark" });
    const row = (item, name, notes, marks) => element("li", [
      element("span", name, { className: item === null ? "try-none" : "" }),
      ...marks.map(mark), ...(notes ? [element("span", notes, { className: "try-meta" })] : []),
    ]);
    // Of the other two lists there is nothing to say but this.
    const fixed = (item) => row(item, data.items[item].title, "", item === clicked ? ["clicked next"] : []);

    fill($("crs"), found.list.map((hit) => {
      const marks = [];
      if (hit.item !== null && hit.item === clicked) marks.push("clicked next");
      if (best.includes(hit.item)) marks.push("informed too");
      if (before.of === of && !before.names.includes(hit.sid)) marks.push("new");
      return row(hit.item, hit.item === null ? "no item has this ID" : nameOf(hit), `${hit.sid} ${percent(Math.exp(hit.score))}`, marks);
    }));
    before = { of, names: found.list.map((hit) => hit.sid) };
    fill($("informed"), best.map(fixed));
    const counted = countingList(data.counting, data.items, request, Number($("month").value), data.k);
    fill($("counting"), counted.map(fixed));
    $("truth").textContent = truth
      ? "Knows everything but the hidden tastes."
      : "No truth for this query: the best list is known only for the queries on offer.";
    $("says").textContent = many ? "Mean probability over the thoughts." : agreement(found.thoughts[0].text, found.list);
  }

  const percent = (p) => (p < 0.0005 ? "< 0.1 %" : `${(100 * p).toFixed(1)} %`);

  // How many of the listed items are as the reasoning says.
  function agreement(text, list) {
    const said = Object.entries(stated(text));
    if (!said.length) return "Probability of each ID.";
    const fits = (key, value) => list.filter(({ item }) => item !== null && data.items[item].facets[key] === value).length;
    return `How many are as the reasoning says: ${said.map(([key, value]) => `${value} ${fits(key, value)}`).join(", ")}.`;
  }

  // -- words of the reasoning that can be changed ----------------------------------------------------------

  const facets = {}; // key -> every value that an item has
  for (const item of data.items) {
    for (const [key, value] of Object.entries(item.facets)) (facets[key] ??= new Set()).add(value);
  }
  const literal = (text) => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
  const whole = (value) => new RegExp(`(?<![\\p{L}\\p{N}_])${literal(value)}(?![\\p{L}\\p{N}_])`, "giu");

  // Facet -> the value that the text names last. What stands in double quotes is cited, not said; a long name hides the
  // short ones inside it.
  function stated(text) {
    let plain = text.replace(/"[^"]*"/g, (cited) => " ".repeat(cited.length));
    const all = Object.entries(facets).flatMap(([key, values]) => [...values].map((value) => [key, value]));
    const last = {};
    for (const [key, value] of all.sort((a, b) => b[1].length - a[1].length)) {
      for (const { index } of plain.matchAll(whole(value))) {
        if (!(last[key]?.index > index)) last[key] = { index, value };
      }
      plain = plain.replace(whole(value), (hit) => " ".repeat(hit.length));
    }
    return Object.fromEntries(Object.entries(last).map(([key, { value }]) => [key, value]));
  }

  function offerWords() {
    fill($("words"), Object.entries(stated($("text").value)).map(([key, value]) => {
      const choice = element("select", [...facets[key]].sort().map((v) => option(v)), { id: `try-word-${key}`, value });
      choice.value = value;
      let old = value;
      choice.onchange = () => {
        $("text").value = $("text").value.replace(whole(old), choice.value);
        old = choice.value;
      };
      return element("div", [element("label", `Change the ${key}`, { htmlFor: choice.id }), choice]);
    }));
  }

  // -- begin ---------------------------------------------------------------------------------------------------

  fill($("shopper"), data.shoppers.map((shopper, n) => option(label(shopper, n), n)));
  fill($("month"), data.months.map((name, n) => option(name, n)));
  fill($("daypart"), data.dayparts.map((name, n) => option(capital(name), n)));
  fill($("place"), data.places.map((name) => option(name)));
  fill($("queries"), data.queries.map((text) => option(text)));
  const stale = () => say("Changed. What stands below belongs to the last search: press Search.");
  $("shopper").onchange = () => chooseShopper($("shopper").value);
  $("form").addEventListener("change", stale);
  $("reasoning").onchange = onReasoning;
  $("text").onchange = offerWords;
  $("again").onclick = () => search($("text").value);
  $("form").onsubmit = (event) => {
    event.preventDefault();
    search();
  };
  for (const place of document.querySelectorAll("[data-try]")) {
    const button = element("button", "Set it up and run", { type: "button", className: "try-run" });
    button.onclick = () => {
      setUp(JSON.parse(place.dataset.try));
      $("reasoning").closest("fieldset").scrollIntoView();
      $("status").focus({ preventScroll: true }); // the next Tab leads to the results
      search();
    };
    place.append(button);
  }
  setUp({});
  $("recorded").hidden = true;
  $("form").hidden = false;
  ask("start", { data, weights }).then(() => search(), (error) => fault(`The model cannot start: ${error.message}.`));
  self.tryIt = { ask, stated, fetchDirect }; // for the console, and for comparing with Python
})();
