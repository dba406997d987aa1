// The table of results: methods in rows; datasets, directions and bits in columns.

function drawFacets() {
  const facet = (axis, values, text) => values.length < 2 ? null : el("span", { class: "facet", role: "group", "aria-label": axis },
    values.map((value) => el("button", {
      type: "button", class: "chip", "aria-pressed": String(!state.off[axis].has(String(value))), "data-facet": axis,
      onclick: (event) => {
        const off = state.off[axis];
        if (!off.delete(String(value))) off.add(String(value));
        event.currentTarget.setAttribute("aria-pressed", String(!off.has(String(value))));
        drawTable();
      },
    }, text(value))));
  byId("facets").replaceChildren(...[
    facet("dataset", datasets(), (d) => d),
    facet("direction", protocol().directions, (d) => ARROWS[d]),
    facet("bits", bitsOf(), (b) => `${b} bits`),
  ].filter(Boolean));
}

function drawTable() {
  const shown = columns();
  const all = Object.keys(protocol().methods);
  const matches = (name) => state.search.toLowerCase().split(/[\s]+/).filter(Boolean)
    .every((word) => name.toLowerCase().includes(word));
  const rivals = all.filter((name) => !protocol().methods[name].reference);
  const grid = new Map(all.map((name) => [name, shown.map((column) => number(name, column))]));
  const marks = shown.map((_, i) => marksOf(rivals.map((name) => grid.get(name)[i])));
  const ordered = (names) => inOrder(names.filter(matches), grid, shown);
  const body = (names, ranked) => el("tbody", null, names.map((name) => el("tr", null,
    el("th", { scope: "row" }, swatch(name), el("span", { class: "label" }, el("span", { class: "name" }, breakable(name)), protocol().methods[name].mark)),
    grid.get(name).map((n, i) => el("td", null, n ? entry(n, ranked ? marks[i] : []) : el("span", { class: "none" }, "–"))))));
  const references = ordered(all.filter((name) => !rivals.includes(name)));
  const chance = shown.map((column, i) => mean(all.map((name) => grid.get(name)[i]).filter((n) => n && n.chance !== null).map((n) => n.chance)));
  const table = el("table", { class: "results" },
    el("caption", { class: "hidden" }, `${metric().title}, ${protocol().title}`),
    heads(shown), body(ordered(rivals), true), references.length ? body(references, false) : null,
    chance.some((v) => v !== null) ? el("tbody", { class: "chance" }, el("tr", null, el("th", { scope: "row" }, "chance"),
      chance.map((v) => el("td", null, short(v))))) : null);
  byId("table").replaceChildren(shown.length ? table : el("p", { class: "notice" }, "Every column is switched off above."));
  const first = table.querySelector(".number");
  if (first) first.tabIndex = 0;
  byId("definition").replaceChildren(el("b", null, metric().title), metric().words ? `: ${metric().words}. ` : ". ",
    "Means over queries with a relevant item, then over seeds.",
    [...grid.values()].flat().some((n) => n && alike(n)) ? ` ≈ ${ALIKE}.` : "",
    [...grid.values()].flat().some((n) => n && n.constant) ? " ∅ constant codes: the score says nothing, and is neither best nor second." : "");
}

function inOrder(names, grid, shown) {
  const { column, descending } = state.sort;
  if (column === "method") return [...names].sort((a, b) => a.localeCompare(b) * (descending ? -1 : 1));
  const i = shown.findIndex((c) => c.id === column);
  if (i < 0) return names;
  const of = (name) => { const n = grid.get(name)[i]; return n && n.mean !== null ? n.mean : null; };
  return [...names].sort((a, b) => {
    const [x, y] = [of(a), of(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    return (y - x) * (descending ? 1 : -1);
  });
}

function heads(shown) {
  const groups = [];
  for (const c of shown) {
    const name = `${c.dataset} ${ARROWS[c.direction]}`;
    const last = groups[groups.length - 1];
    if (last && last.name === name) last.span += 1; else groups.push({ name, span: 1 });
  }
  return el("thead", null,
    el("tr", null, sortable("method", "method", 2), groups.map((g) => el("th", { scope: "colgroup", colspan: g.span, class: "group" }, g.name))),
    el("tr", null, shown.map((c) => sortable(c.id, `${c.bits} bits`))));
}

function sortable(id, text, rowspan) {
  const here = state.sort.column === id;
  const direction = state.sort.descending ? "descending" : "ascending";
  return el("th", { scope: "col", rowspan, "aria-sort": here ? direction : "none" }, el("button", {
    type: "button", class: "sort", "data-sort": id,
    onclick: () => {
      state.sort = { column: id, descending: here ? !state.sort.descending : id !== "method" };
      drawTable();
      [...document.querySelectorAll("[data-sort]")].find((b) => b.dataset.sort === id).focus();
    },
  }, text, el("span", { class: "arrow", "aria-hidden": "true" }, here ? (state.sort.descending ? "▼" : "▲") : "")));
}

function swatch(name) {
  const style = styleOf(name);
  const node = el("span", { class: "swatch", "aria-hidden": "true" });
  paint(node, style);
  return node;
}

function entry(n, best) {
  const text = n.mean === null ? unique(n.trouble.map((r) => r.status)).join(", ") || "–" : short(n.mean);
  const place = n.mean === null || n.constant ? -1 : best.indexOf(text);
  const value = el(["b", "u"][place] || "span", { class: "value" }, text);
  const few = n.mean !== null && n.values.length < n.seeds ? ` (n=${n.values.length})` : "";
  return el("button", {
    type: "button", class: n.mean === null ? "number word" : "number", tabindex: -1, "aria-haspopup": "dialog",
    "aria-describedby": "tip",
    onclick: () => openNumber(n),
    onmouseenter: (event) => showTip(event.currentTarget, summary(n)),
    onmouseleave: hideTip,
    onfocus: (event) => { if (event.currentTarget.matches(":focus-visible")) showTip(event.currentTarget, summary(n)); },
    onblur: hideTip,
  }, value, n.constant ? "∅" : "", alike(n) ? "≈" : "", n.stale.length ? "§" : "",
  n.sd !== null || few ? el("small", null, n.sd === null ? "" : ` ±${short(n.sd)}`, few) : null,
  state.band && n.low !== null && n.high !== null ? el("small", { class: "band" }, `[${short(n.low)}–${short(n.high)}]`) : null);
}

// Arrow keys walk over the numbers; Tab enters the grid at the number left last, and leaves it.
byId("table").addEventListener("keydown", (event) => {
  const here = document.activeElement.closest("td");
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  if (!here || !(event.key in steps)) return;
  event.preventDefault();
  const lines = [...byId("table").querySelectorAll("tbody:not(.chance) tr")];
  let [row, column] = [lines.indexOf(here.parentElement), here.cellIndex];
  const [down, right] = steps[event.key];
  for (;;) {
    row += down;
    column += right;
    const target = lines[row] && lines[row].cells[column];
    if (!target) return;
    const button = target.querySelector(".number");
    if (button) {
      byId("table").querySelectorAll('.number[tabindex="0"]').forEach((b) => { b.tabIndex = -1; });
      button.tabIndex = 0;
      button.focus();
      return;
    }
  }
});

function drawDownloads() {
  const stem = ["hashbench", section().title, metric().name].filter(Boolean).join("-");
  const button = (text, act) => el("button", { type: "button", class: "download", onclick: act }, text);
  byId("downloads").replaceChildren(el("span", { class: "quiet" }, "Download"),
    button("CSV", () => save(`${stem}.csv`, metric().csv, "text/csv")),
    button("LaTeX", () => save(`${stem}.tex`, metric().latex, "application/x-tex")));
  if (!DATA.figures.length) return;
  const left = DATA.figures_left;
  byId("downloads").append(el("details", null, el("summary", null, `${counted(DATA.figures.length, "figure")} as PDF`),
    el("div", { class: "keys" }, DATA.figures.map((file) => button(file.name, () => save(file.name,
      new Blob([Uint8Array.from(atob(file.content), (c) => c.charCodeAt(0))], { type: "application/pdf" }))))),
    left ? el("p", { class: "quiet" }, `${counted(left, "figure")} did not fit into the page; they are in the report's folder.`) : null));
}
