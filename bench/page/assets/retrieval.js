// The retrieval viewer: the results of a query, nearest first, tied items together, relevant ones marked.

const seen = { dataset: "", direction: "", method: "", bits: 0, other: "", query: 0 };

function runsOf(sample) {
  const keys = new Map(records().map((r) => [r.key, r]));
  return (sample.runs || []).map((run) => ({ ...run, record: keys.get(run.key) })).filter((run) => run.record);
}

function drawViewer() {
  const known = datasets();
  if (!known.includes(seen.dataset)) seen.dataset = known.find((d) => !DATA.retrieval[d].why) || known[0];
  const sample = DATA.retrieval[seen.dataset];
  const runs = runsOf(sample);
  const controls = el("div", { class: "controls" });
  if (known.length > 1) controls.append(choice("Dataset", known.map((d) => [d, d]), seen.dataset, (v) => { seen.dataset = v; drawViewer(); }));
  const why = sample.why || (sample.queries.length ? "" : "The pictures of a single query exceed the size limit of the page.")
    || (runs.length ? "" : "The page has the codes of some cells only, and none of this protocol.");
  if (why) {
    byId("viewer").replaceChildren(controls, el("p", { class: "notice" }, `No viewer for ${seen.dataset}: ${why}`));
    return;
  }
  const methods = unique(runs.map((r) => r.record.method));
  if (!methods.includes(seen.method)) seen.method = methods[0];
  const others = methods.filter((m) => m !== seen.method);
  if (!others.includes(seen.other)) seen.other = "";
  const lengths = unique(runs.filter((r) => r.record.method === seen.method).map((r) => r.record.bits)).sort((a, b) => a - b);
  if (!lengths.includes(seen.bits)) seen.bits = lengths[0];
  const directions = protocol().directions;
  if (!directions.includes(seen.direction)) seen.direction = directions[0];
  seen.query = Math.min(seen.query, sample.queries.length - 1);
  const ways = el("div", { class: "segments", role: "radiogroup", "aria-label": "Direction" });
  segments(ways, directions.map((d) => [d, ARROWS[d]]), seen.direction, (d) => { seen.direction = d; drawViewer(); byId("viewer").querySelector('.segments [aria-checked="true"]').focus(); });
  controls.append(ways,
    choice("Method", methods.map((m) => [m, m]), seen.method, (v) => { seen.method = v; drawViewer(); }),
    choice("Bits", lengths.map((b) => [String(b), String(b)]), String(seen.bits), (v) => { seen.bits = Number(v); drawViewer(); }),
    choice("Beside", [["", "nothing"], ...others.map((m) => [m, m])], seen.other, (v) => { seen.other = v; drawViewer(); }));
  const query = sample.queries[seen.query];
  byId("viewer").replaceChildren(controls, strip(sample), el("div", { class: "columns" },
    [seen.method, seen.other].filter(Boolean).map((m) => found(sample, runs, m, query))),
  el("p", { class: "quiet" }, `${counted(sample.queries.length, "query").replace("querys", "queries")}, evenly spread over the test queries; codes of the last round, first seed. `
    + "Items at the same distance are tied and have no order; of a large group the earliest arrivals are shown. "
    + `${sample.pictures ? "" : "This dataset has features only, so an item is shown by its labels. "}Arrow keys change the query.`));
}

function choice(text, options, value, act) {
  const select = el("select", { "aria-label": text });
  fill(select, options, value);
  select.addEventListener("change", () => {
    act(select.value);
    byId("viewer").querySelector(`select[aria-label="${text}"]`)?.focus();
  });
  return el("label", null, `${text} `, select);
}

function strip(sample) {
  const home = el("div", { class: "strip", role: "radiogroup", "aria-label": "Query" }, sample.queries.map((query, i) => {
    const item = sample.items[`q${query}`];
    return el("button", { type: "button", role: "radio", "aria-checked": String(i === seen.query), tabindex: i === seen.query ? 0 : -1,
      class: "query", title: `query ${item.id}`, onclick: () => { seen.query = i; drawViewer(); byId("viewer").querySelector('.strip [aria-checked="true"]').focus(); } },
    face(item, seen.direction[0]));
  }));
  roving(home, "button", (i) => {
    seen.query = i;
    drawViewer();
    byId("viewer").querySelector('.strip [aria-checked="true"]').focus();
  });
  return home;
}

// A picture or a text, as the modality has it; labels where the dataset has neither.
function face(item, side) {
  if (side === "i" && item.image) return el("img", { src: item.image, alt: item.text || `picture ${item.id}`, loading: "lazy" });
  if (side === "i" && item.broken) return el("span", { class: "text" }, item.broken);
  if (side === "t" && item.text) return el("span", { class: "text" }, item.text);
  return el("span", { class: "text" }, `#${item.id}`);
}

function labelsOf(sample, item, shared) {
  const name = (c) => sample.classes[c] || `class ${c}`;
  return el("span", { class: "labels" }, item.labels.length ? item.labels.map((c) => el(shared && shared.includes(c) ? "b" : "span", null, name(c)))
    : el("span", null, "no label"));
}

function found(sample, runs, method, query) {
  const of = runs.filter((r) => r.record.method === method);
  const run = of.find((r) => r.record.bits === seen.bits) || of[0];
  const item = sample.items[`q${query}`];
  const groups = run.found[query][seen.direction];
  const cards = groups.flatMap(([, , , rows]) => rows.map((row) => sample.items[`d${row}`]));
  const hits = cards.filter((c) => c.labels.some((l) => item.labels.includes(l))).length;
  return el("section", { class: "found", "aria-label": `${method}, ${run.record.bits} bits` },
    el("h3", null, swatch(method), `${method}, ${run.record.bits} bits`, el("span", { class: "quiet" }, ` ${hits} of the ${cards.length} shown are relevant`)),
    el("div", { class: "asked" }, face(item, seen.direction[0]), el("div", null, el("p", { class: "quiet" }, `Query ${item.id}`), labelsOf(sample, item, []))),
    groups.map(([distance, size, relevant, rows]) => el("div", { class: "tie" },
      el("p", { class: "distance" }, el("b", null, `distance ${distance}`), el("span", { class: "quiet" },
        ` ${size === 1 ? "one item" : `${size.toLocaleString("en")} tied`}, ${relevant.toLocaleString("en")} relevant${rows.length < size ? `, ${rows.length} shown` : ""}`)),
      el("ul", { class: "cards" }, rows.map((row) => card(sample, sample.items[`d${row}`], item))))));
}

function card(sample, item, query) {
  const shared = item.labels.filter((c) => query.labels.includes(c));
  return el("li", { class: shared.length ? "card relevant" : "card" },
    face(item, seen.direction[2]),
    el("span", { class: "verdict" }, shared.length ? "✓ relevant" : "✗ not relevant"),
    labelsOf(sample, item, shared));
}
