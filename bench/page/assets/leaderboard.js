// The leaderboard: one table for a dataset and a protocol, with methods of all submissions in its rows.

let DATA = null;
const state = {
  board: 0, metric: "mAP", search: "", from: "", verified: false, sort: { column: "", descending: true },
  off: { direction: new Set(), bits: new Set() },
};

const board = () => DATA.boards[state.board];
const metric = () => board().metrics.find((m) => m.title === state.metric) || board().metrics[0];
const submission = (row) => DATA.submissions[row.submission];
const byWhom = (s) => s.by || s.name;
const badge = (s) => (s.faults.length ? el("span", { class: "bad" }, "✗ not verified") : el("span", { class: "good" }, "✓ verified"));

// Different arrays under one name get their fingerprint as a suffix.
function datasetName(b) {
  const alike = DATA.boards.filter((other) => other.dataset === b.dataset);
  return unique(alike.map((other) => other.data)).length > 1 ? `${b.dataset} (data ${b.data.slice(0, 8)})` : b.dataset;
}

function columns() {
  const lengths = unique(board().rows.flatMap((row) => row.runs.map((run) => run.bits))).sort((a, b) => a - b);
  return board().directions.flatMap((direction) => lengths.map((bits) => ({ id: `${direction} ${bits}`, direction, bits })))
    .filter((c) => !state.off.direction.has(c.direction) && !state.off.bits.has(String(c.bits)));
}

// The mean of a row in a column, with the runs that it is over.
function number(row, column) {
  const at = metric().at;
  const runs = row.runs.filter((run) => run.bits === column.bits && typeof (run.values[column.direction] || [])[at] === "number");
  if (!runs.length) return null;
  const values = runs.map((run) => run.values[column.direction][at]);
  const chance = metric().chance === null ? null
    : mean(runs.map((run) => run.values[column.direction][metric().chance]).filter((v) => typeof v === "number"));
  return { row, column, runs, mean: mean(values), sd: deviation(values), chance, constant: runs.some((run) => run.constant) };
}

function shownRows() {
  const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
  return board().rows.filter((row) => words.every((word) => row.method.toLowerCase().includes(word))
    && (!state.from || byWhom(submission(row)) === state.from) && !(state.verified && submission(row).faults.length));
}

function drawTable() {
  const shown = columns();
  const entries = shownRows().map((row) => ({ row, numbers: shown.map((column) => number(row, column)) }))
    .filter((e) => e.numbers.some(Boolean));
  const column = shown.findIndex((c) => c.id === state.sort.column);
  const value = (e) => {
    const some = (column < 0 ? e.numbers : [e.numbers[column]]).filter(Boolean).map((n) => n.mean);
    return some.length ? mean(some) : -Infinity;
  };
  const sign = state.sort.descending ? 1 : -1;
  entries.sort((a, b) => sign * (state.sort.column === "method" ? b.row.method.localeCompare(a.row.method) : value(b) - value(a)));
  const rivals = entries.filter((e) => !e.row.reference), references = entries.filter((e) => e.row.reference);
  const best = shown.map((_, i) => unique(rivals.map((e) => e.numbers[i]).filter((n) => n && !n.constant).map((n) => short(n.mean)))
    .sort((a, b) => Number(b) - Number(a)).slice(0, 2));
  const body = (list, ranked) => el("tbody", null, list.map((e) => el("tr", null, heading(e.row),
    e.numbers.map((n, i) => el("td", null, n ? entry(n, ranked ? best[i] : []) : el("span", { class: "none" }, "–"))))));
  const chance = shown.map((_, i) => mean(entries.map((e) => e.numbers[i]).filter((n) => n && n.chance !== null).map((n) => n.chance)));
  const table = el("table", { class: "results" }, el("caption", { class: "hidden" }, `${metric().title}, ${board().title}`), heads(shown),
    body(rivals, true), references.length ? body(references, false) : null, chance.some((v) => v !== null)
      ? el("tbody", { class: "chance" }, el("tr", null, el("th", { scope: "row" }, "chance"), chance.map((v) => el("td", null, short(v))))) : null);
  byId("table").replaceChildren(entries.length ? table : el("p", { class: "notice" }, "No method fits the selection above."));
  byId("definition").replaceChildren(el("b", null, metric().title), metric().description ? `: ${metric().description}. ` : ". ",
    "Means over queries with a relevant item, then over seeds.");
}

function heading(row) {
  const s = submission(row);
  const facts = [row.kind, row.pool === "full" ? "saw the future" : "", row.contract ? "fails the contract" : ""].filter(Boolean);
  return el("th", { scope: "row" }, el("span", { class: "label" }, el("span", { class: "name" }, breakable(row.method)),
    el("small", { class: "origin" }, facts.map((fact) => `${fact} · `), byWhom(s), "\u00a0", s.faults.length
      ? el("span", { class: "bad", title: "not verified" }, "✗") : el("span", { class: "good", title: "verified" }, "✓"))));
}

function heads(shown) {
  const groups = unique(shown.map((c) => c.direction)).map((d) => [d, shown.filter((c) => c.direction === d).length]);
  return el("thead", null,
    el("tr", null, sortable("method", "method", 2), groups.map(([d, span]) => el("th", { scope: "colgroup", colspan: span, class: "group" }, ARROWS[d]))),
    el("tr", null, shown.map((c) => sortable(c.id, `${c.bits} bits`))));
}

function sortable(id, text, rowspan) {
  const here = state.sort.column === id;
  return el("th", { scope: "col", rowspan, "aria-sort": !here ? "none" : state.sort.descending ? "descending" : "ascending" },
    el("button", { type: "button", class: "sort", "data-sort": id, onclick: () => {
      state.sort = { column: id, descending: here ? !state.sort.descending : id !== "method" };
      drawTable();
      [...document.querySelectorAll("[data-sort]")].find((b) => b.dataset.sort === id).focus();
    } }, text, el("span", { class: "arrow", "aria-hidden": "true" }, here ? (state.sort.descending ? "▼" : "▲") : "")));
}

function entry(n, best) {
  const text = short(n.mean);
  return el("button", { type: "button", class: "number", "aria-haspopup": "dialog", onclick: () => openNumber(n) },
    el(["b", "u"][n.constant ? -1 : best.indexOf(text)] || "span", { class: "value" }, text), n.constant ? "∅" : "",
    n.sd === null ? null : el("small", null, ` ±${short(n.sd)}`));
}

function openNumber(n) {
  const { row, column } = n, s = submission(row), b = board();
  openPanel(`${row.method}, ${b.dataset} ${ARROWS[column.direction]}, ${column.bits} bits`, [
    el("p", { class: "big" }, `${metric().title} ${short(n.mean, 4)}${n.sd === null ? "" : ` ± ${short(n.sd, 4)}`}`),
    rows([["metric", metric().description], ["chance", n.chance === null ? "" : short(n.chance, 4)],
      ["mean", `over queries with a relevant item, then over ${counted(n.runs.length, "seed")}`],
      ["codes", n.constant ? "constant: the score says nothing" : ""], ["queries", b.queries.toLocaleString("en")],
      ["database", `${b.items.toLocaleString("en")} items`]]),
    el("h3", null, "Submission"), rows(factsOf(s)),
    el("h3", null, "Method"),
    rows([["origin", row.origin], ["reference", row.reference], ["contract", row.contract], ["notes", row.notes.join("; ")],
      ["pool", row.pool]]),
    el("h3", null, "Protocol"), rows(b.facts),
    el("h3", null, n.runs.length === 1 ? "The run" : "The runs"),
    ...n.runs.map((run) => el("div", { class: "run" }, rows([["seed", String(run.seed)],
      ["value", short(run.values[column.direction][metric().at], 6)], ["key", run.key], ["code", run.code], ["data", b.data],
      ["trained", `${run.fit.toFixed(2)} s`],
      ["environment", Object.entries(DATA.environments[run.environment]).map(([k, v]) => `${k} ${v}`).join(" · ")]]))),
  ]);
}

function factsOf(s) {
  return [["name", s.name], ["by", s.by], ["state", badge(s)], ["faults", s.faults.slice(0, 5).join("; ")],
    ["cells", s.cells === s.stored ? String(s.cells) : `${s.cells} shown of ${s.stored}`], ["written by", s.version && `hashbench ${s.version}`],
    ["SHA-256", s.digest], ["archive", s.archive && el("a", { href: encodeURI(s.archive), download: true }, "download")],
    ["check it", s.archive && el("code", null, `bench verify ${s.archive.split("/").pop()}`)]];
}

function drawSubmissions() {
  byId("submitted").replaceChildren(...DATA.submissions.map((s) => el("section", { class: "submission" },
    el("h3", null, byWhom(s), " ", badge(s)), rows(factsOf(s).filter(([term]) => term !== "state" && term !== "by")))));
}

function drawFacets() {
  const facet = (axis, values, text) => (values.length < 2 ? null : el("span", { class: "facet", role: "group", "aria-label": axis },
    values.map((value) => el("button", { type: "button", class: "chip", "aria-pressed": String(!state.off[axis].has(String(value))), onclick: () => {
      if (!state.off[axis].delete(String(value))) state.off[axis].add(String(value));
      drawFacets();
      drawTable();
    } }, text(value)))));
  const lengths = unique(board().rows.flatMap((row) => row.runs.map((run) => run.bits))).sort((a, b) => a - b);
  byId("facets").replaceChildren(...[facet("direction", board().directions, (d) => ARROWS[d]),
    facet("bits", lengths, (b) => `${b} bits`)].filter(Boolean));
}

function drawBoard() {
  const alike = DATA.boards.map((b, i) => [b, i]).filter(([b]) => datasetName(b) === datasetName(board()));
  byId("protocol-choice").hidden = alike.length < 2;
  fill(byId("protocol-select"), alike.map(([b, i]) => [String(i), b.title]), String(state.board));
  fill(byId("metric"), board().metrics.map((m) => [m.title, m.title]), metric().title);
  byId("results-title").textContent = datasetName(board());
  byId("protocol-facts").replaceChildren(rows([...board().facts, ["queries", board().queries.toLocaleString("en")],
    ["database size", `${board().items.toLocaleString("en")} items`], ["data", board().data]]));
  drawFacets();
  drawTable();
}

function listen() {
  const change = (id, event, act) => byId(id).addEventListener(event, (e) => { act(e.target); drawBoard(); });
  change("dataset", "change", (t) => { state.board = DATA.boards.findIndex((b) => datasetName(b) === t.value); });
  change("protocol-select", "change", (t) => { state.board = Number(t.value); });
  change("metric", "change", (t) => { state.metric = t.value; });
  change("search", "input", (t) => { state.search = t.value; });
  change("from", "change", (t) => { state.from = t.value; });
  change("verified", "change", (t) => { state.verified = t.checked; });
}

unpack(byId("data").textContent).then((data) => {
  DATA = data;
  const names = unique(DATA.boards.map(datasetName)), people = unique(DATA.submissions.map(byWhom));
  byId("summary").textContent = [counted(unique(DATA.boards.flatMap((b) => b.rows.map((row) => row.method))).length, "method"),
    counted(names.length, "dataset"), counted(DATA.submissions.length, "submission")].join(" · ");
  byId("footer").textContent = `Written by hashbench ${DATA.version} from published archives. No network, nothing recomputed here.`;
  fill(byId("dataset"), names.map((name) => [name, name]), names[0]);
  fill(byId("from"), [["", "everybody"], ...people.map((name) => [name, name])], "");
  byId("main").hidden = false;
  listen();
  drawBoard();
  drawSubmissions();
});
