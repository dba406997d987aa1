// The curves: one chart, drawn as SVG, that can be walked over by mouse and by arrow keys.

const MOST_BANDS = 8; // more of them hide the lines
const KINDS = [
  ["bits", "by bits", "the metric chosen above, after the last round, against the code length; bands, of up to eight methods, are one standard deviation over seeds"],
  ["rounds", "mAP by round", "mAP against the items in the database, round by round; bands, of up to eight methods, are one standard deviation over seeds"],
  ["radius", "PR by radius", "precision against recall within every Hamming radius; precision is 0 within a radius without items"],
  ["rank", "PR by rank", "precision against recall among the first N items; hits among tied items are expected values"],
  ["precision", "P@N", "precision among the first N items; hits among tied items are expected values"],
  ["recall", "recall@N", "recall among the first N items; hits among tied items are expected values"],
];
const chosen = { kind: "bits", dataset: "", direction: "", bits: 0 };

function ranksOf(items) {
  const found = [];
  for (let power = 1; power < items; power *= 10) for (const d of [1, 2, 3, 5, 7]) if (d * power < items) found.push(d * power);
  return [...found, items];
}

function radiiOf(bits) {
  const steps = Math.min(bits, 40);
  return Array.from({ length: steps + 1 }, (_, i) => Math.floor((2 * i * bits + steps) / (2 * steps)));
}

// Point by point over the seeds of a cell: mean, and the deviation where there are several.
function over(seeds, x, text) {
  return x.map((at, i) => {
    const values = seeds.map((s) => s[i]).filter((v) => v !== null && v !== undefined).map((v) => v / 1000);
    return { x: at, y: mean(values), sd: deviation(values), text: text(at) };
  }).filter((p) => p.y !== null && p.x !== null);
}

function seriesOf(name) {
  const { kind, dataset, direction, bits } = chosen;
  if (kind === "bits") {
    const points = bitsOf(dataset).map((b) => {
      const found = cell(name, dataset, b);
      const values = valuesOf(found, metric().name, direction);
      return { x: b, y: mean(values), sd: deviation(values), text: `${b} bits`, records: found, bits: b };
    });
    return points.filter((p) => p.y !== null);
  }
  const found = cell(name, dataset, bits);
  const withBits = (points) => points.map((p) => ({ ...p, records: found, bits }));
  if (kind === "rounds") {
    const ran = found.filter((r) => r.rounds.items);
    return ran.length ? withBits(over(ran.map((r) => r.rounds[`map/${direction}`]), ran[0].rounds.items,
      (items) => `${items.toLocaleString("en")} items`)) : [];
  }
  const ran = found.map((r) => [r, (DATA.curves[r.key] || {})[direction]]).filter(([, c]) => c && c.pn);
  if (!ran.length || (kind === "radius" && !ran[0][1].pr)) return [];
  const take = (entry) => ran.map(([, c]) => c[entry]);
  const ranks = ranksOf(ran[0][0].items);
  const top = (n) => `the first ${n.toLocaleString("en")}`;
  if (kind === "precision") return withBits(over(take("pn"), ranks, top));
  if (kind === "recall") return withBits(over(take("rn"), ranks, top));
  const [p, r] = kind === "radius" ? ["pr", "rr"] : ["pn", "rn"];
  const precision = over(take(p), kind === "radius" ? radiiOf(bits) : ranks,
    kind === "radius" ? (d) => `radius ${d}` : top);
  const recall = over(take(r), kind === "radius" ? radiiOf(bits) : ranks, String);
  return withBits(precision.map((point, i) => ({ ...point, x: recall[i].y, sd: null })));
}

function drawCurves() {
  const { kind, dataset, direction, bits } = chosen;
  byId("curve-bits-choice").hidden = kind === "bits";
  const all = Object.keys(protocol().methods);
  const series = all.map((name) => ({ name, points: seriesOf(name) }));
  const drawn = series.filter((s) => s.points.length && !state.hidden.has(s.name));
  const [, title, text] = KINDS.find(([k]) => k === kind);
  const where = `${dataset} ${ARROWS[direction]}${kind === "bits" ? "" : `, ${bits} bits`}`;
  drawLegend(series);
  byId("chart-words").replaceChildren(el("b", null, where), `: ${text}. ${protocol().title}.`);
  byId("chart-numbers").querySelector(".scroll").replaceChildren(numbersOf(drawn));
  const curve = kind === "radius" || kind === "rank";
  chart(byId("chart"), {
    series: drawn, chance: chanceLevel(), title: `${title}, ${where}`,
    x: curve ? { label: "recall", low: 0, high: 1 }
      : kind === "bits" ? { label: "bits", log: 2, ticks: bitsOf(dataset) }
        : kind === "rounds" ? { label: "items in the database" } : { label: "N", log: 10 },
    y: { label: valueName(), unit: curve || kind === "recall" },
    empty: emptyReason(kind),
  });
  const stem = `${kind}-${dataset}-${direction}${kind === "bits" ? "" : `-${bits}`}`;
  byId("chart-downloads").replaceChildren(el("span", { class: "quiet" }, "Download"),
    el("button", { type: "button", class: "download", onclick: () => save(`${stem}.csv`, csvOf(drawn), "text/csv") }, "CSV"),
    el("button", { type: "button", class: "download", onclick: () => save(`${stem}.svg`, picture(), "image/svg+xml") }, "SVG"));
}

// The label of the vertical axis.
function valueName() {
  return { bits: metric().title, rounds: "mAP", recall: "recall" }[chosen.kind] || "precision";
}

function emptyReason(kind) {
  if (kind === "rounds") return "These cells were evaluated after their last round only. `bench run --evaluate all` evaluates every round.";
  if (kind === "radius") return "No stored histogram by Hamming distance for this choice.";
  return "No result for this choice.";
}

// The chance level along the horizontal axis; metrics without one have none.
function chanceLevel() {
  const { kind, dataset, direction, bits } = chosen;
  const here = records().filter((r) => r.dataset === dataset);
  if (kind === "rounds") {
    const ran = here.find((r) => r.bits === bits && r.rounds.items);
    return ran ? over([ran.rounds[`chance/${direction}`]], ran.rounds.items, String) : null;
  }
  const level = kind === "bits" && metric().chance ? mean(valuesOf(here, metric().chance, direction)) : null;
  return level === null ? null : bitsOf(dataset).map((x) => ({ x, y: level }));
}

function drawLegend(series) {
  byId("legend").replaceChildren(...series.map(({ name, points }) => el("button", {
    type: "button", class: "key", "aria-pressed": String(!state.hidden.has(name)), disabled: !points.length,
    title: points.length ? "" : "no result for this choice",
    onclick: () => {
      if (!state.hidden.delete(name)) state.hidden.add(name);
      drawCurves();
      [...byId("legend").children].find((b) => b.dataset.name === name).focus();
    },
    "data-name": name,
  }, swatch(name), breakable(name), protocol().methods[name].mark)), el("button", {
    type: "button", class: "plain", onclick: () => {
      if (state.hidden.size) state.hidden.clear(); else series.forEach((s) => state.hidden.add(s.name));
      drawCurves();
      byId("legend").lastChild.focus();
    },
  }, state.hidden.size ? "show all" : "hide all"));
}

function numbersOf(drawn) {
  const long = drawn.flatMap((s) => s.points.map((p) => [s.name, p.text, short(p.x), short(p.y), short(p.sd)]));
  const curve = chosen.kind === "radius" || chosen.kind === "rank";
  return el("table", { class: "plain-table" },
    el("thead", null, el("tr", null, ["method", "at", curve ? "recall" : null, valueName(), curve ? null : "±"]
      .filter(Boolean).map((h) => el("th", { scope: "col" }, h)))),
    el("tbody", null, long.map(([name, at, x, y, sd]) => el("tr", null, el("th", { scope: "row" }, name), el("td", null, at),
      curve ? el("td", null, x) : null, el("td", null, y), curve ? null : el("td", null, sd)))));
}

function csvOf(drawn) {
  const quoted = (v) => (/[",\n]/.test(String(v)) ? `"${String(v).replaceAll('"', '""')}"` : String(v ?? ""));
  const curve = chosen.kind === "radius" || chosen.kind === "rank";
  const lines = [["protocol", "dataset", "direction", "bits", "method", "at", curve ? "recall" : "x", "value", "sd", "seeds", "keys"]];
  for (const s of drawn) {
    for (const p of s.points) {
      lines.push([protocol().title, chosen.dataset, chosen.direction, p.bits, s.name, p.text, p.x, p.y, p.sd, p.records.length,
        p.records.map((r) => r.key).join(" ")]);
    }
  }
  return `${lines.map((line) => line.map(quoted).join(",")).join("\n")}\n`;
}

// The chart -------------------------------------------------------------------------------------

const DASHES = ["", "7 4", "2 3", "9 3 2 3"]; // the last is for references
let redraw = null;

function paint(node, { colour, dash }) {
  node.classList.add(colour);
  node.dataset.dash = String(dash);
}

function scale(domain, range, log) {
  const f = log ? Math.log : (v) => v;
  const [a, b] = domain.map(f);
  return (v) => range[0] + ((f(v) - a) / (b - a || 1)) * (range[1] - range[0]);
}

function niceTicks(low, high, count) {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].find((m) => m * power >= raw) * power;
  const found = [];
  for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + step * 1e-9; v += step) found.push(Number(v.toPrecision(10)));
  return found;
}

function axes(spec) {
  const points = spec.series.flatMap((s) => s.points).concat(spec.chance || []);
  const xs = points.map((p) => p.x);
  const ys = points.flatMap((p) => [p.y + (p.sd || 0), p.y - (p.sd || 0)]);
  const x = { ...spec.x, low: spec.x.low ?? Math.min(...xs), high: spec.x.high ?? Math.max(...xs) };
  if (x.low === x.high) { x.low = x.log ? x.low / 2 : x.low - 1; x.high = x.log ? x.high * 2 : x.high + 1; }
  const pad = spec.y.unit ? 0 : 0.04 * (Math.max(...ys) - Math.min(...ys) || 0.1);
  const y = spec.y.unit ? { ...spec.y, low: 0, high: 1 }
    : { ...spec.y, low: Math.max(0, Math.min(...ys) - pad), high: Math.min(1, Math.max(...ys) + pad) };
  x.ticks ||= x.log === 10 ? xs.length && ranksOf(x.high).filter((v) => /^10*$/.test(String(v))) : niceTicks(x.low, x.high, 5);
  y.ticks = niceTicks(y.low, y.high, 6);
  return { x, y };
}

function chart(home, spec) {
  const draw = () => {
    const focused = home.contains(document.activeElement);
    home.replaceChildren(spec.series.length ? plot(home, spec) : el("p", { class: "notice" }, spec.empty));
    if (focused && home.querySelector("svg")) home.querySelector("svg").focus({ preventScroll: true });
  };
  redraw = draw;
  draw();
}

function plot(home, spec) {
  const width = Math.max(280, home.clientWidth);
  const height = Math.round(Math.min(440, Math.max(260, width * 0.55)));
  const box = { left: 46, right: width - 14, top: 12, bottom: height - 40 };
  const { x, y } = axes(spec);
  const toX = scale([x.low, x.high], [box.left, box.right], x.log);
  const toY = scale([y.low, y.high], [box.bottom, box.top]);
  const digits = y.ticks.some((t) => Math.abs(t * 10 - Math.round(t * 10)) > 1e-6) ? 2 : 1;
  const share = (v, n) => (v === 0 ? "0" : short(v, n));
  const compact = (v) => (v >= 1000 ? `${Number((v / 1000).toPrecision(3))}k` : String(v));
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, tabindex: 0, role: "application",
    "aria-roledescription": "chart", "aria-label": `${spec.title}. Arrow keys read the points, Enter opens the runs of one.` });
  root.append(svg("g", { class: "grid" },
    y.ticks.map((v) => [svg("line", { x1: box.left, x2: box.right, y1: toY(v), y2: toY(v) }),
      svg("text", { x: box.left - 8, y: toY(v) + 4, "text-anchor": "end" }, share(v, digits))]),
    x.ticks.map((v) => [svg("line", { x1: toX(v), x2: toX(v), y1: box.bottom, y2: box.bottom + 4, class: "tick" }),
      svg("text", { x: toX(v), y: box.bottom + 18, "text-anchor": "middle" }, x.high <= 1 ? share(v, 1) : compact(v))]),
    svg("text", { class: "axis", x: (box.left + box.right) / 2, y: height - 4, "text-anchor": "middle" }, x.label),
    svg("text", { class: "axis", x: 12, y: box.top + 2, transform: `rotate(-90 12 ${(box.top + box.bottom) / 2})`,
      "text-anchor": "middle", dx: 0, dy: (box.bottom - box.top) / 2 }, y.label)));
  const path = (points) => points.map((p, i) => `${i ? "L" : "M"}${toX(p.x).toFixed(1)} ${toY(p.y).toFixed(1)}`).join("");
  if (spec.chance && spec.chance.length) {
    root.append(svg("path", { class: "chance-line", d: path(spec.chance) }),
      svg("text", { class: "chance-text", x: box.right, y: toY(spec.chance[spec.chance.length - 1].y) - 5, "text-anchor": "end" }, "chance"));
  }
  for (const s of spec.series) {
    const band = spec.series.length <= MOST_BANDS && s.points.some((p) => p.sd);
    const group = svg("g", { class: "series", "data-series": s.name });
    paint(group, styleOf(s.name));
    if (band) {
      const edge = (sign, list) => list.map((p) => `${toX(p.x).toFixed(1)} ${toY(p.y + sign * (p.sd || 0)).toFixed(1)}`);
      group.append(svg("polygon", { class: "spread", points: [...edge(1, s.points), ...edge(-1, [...s.points].reverse())].join(" ") }));
    }
    group.append(svg("path", { class: "line", d: path(s.points), "stroke-dasharray": DASHES[styleOf(s.name).dash] || null }));
    if (s.points.length <= 20) group.append(...s.points.map((p) => svg("circle", { class: "dot", cx: toX(p.x), cy: toY(p.y), r: 3 })));
    root.append(group);
  }
  const mark = svg("circle", { class: "mark", r: 6, visibility: "hidden" });
  root.append(mark);
  follow(root, spec, mark, toX, toY);
  return root;
}

function follow(root, spec, mark, toX, toY) {
  let at = null;
  const say = (s, i) => {
    at = [s, i];
    const p = spec.series[s].points[i];
    mark.setAttribute("cx", toX(p.x));
    mark.setAttribute("cy", toY(p.y));
    mark.setAttribute("visibility", "visible");
    root.querySelectorAll(".series").forEach((g) => g.classList.toggle("near", g.dataset.series === spec.series[s].name));
    root.classList.add("reading");
    showTip(mark, [spec.series[s].name, p.text, spec.x.label === "recall" ? `recall ${short(p.x)}` : "",
      `${spec.y.label} ${short(p.y)}${p.sd === null ? "" : ` ±${short(p.sd)}`}`, `${counted(p.records.length, "seed")}`].filter(Boolean));
  };
  const leave = () => {
    hideTip();
    mark.setAttribute("visibility", "hidden");
    root.classList.remove("reading");
  };
  const open = () => {
    if (!at) return;
    const s = spec.series[at[0]];
    openNumber(number(s.name, { dataset: chosen.dataset, direction: chosen.direction, bits: s.points[at[1]].bits }));
  };
  root.addEventListener("pointermove", (event) => {
    const size = root.getBoundingClientRect();
    const [px, py] = [event.clientX - size.left, event.clientY - size.top];
    let best = [Infinity, 0, 0];
    spec.series.forEach((s, i) => s.points.forEach((p, j) => {
      const d = Math.hypot(toX(p.x) - px, toY(p.y) - py);
      if (d < best[0]) best = [d, i, j];
    }));
    if (best[0] < 40) say(best[1], best[2]); else leave();
  });
  root.addEventListener("pointerleave", leave);
  root.addEventListener("click", open);
  root.addEventListener("blur", leave);
  root.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(); return; }
    const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
    if (!step) return;
    event.preventDefault();
    const [s, i] = at && root.classList.contains("reading") ? [at[0] + step[0], at[1] + step[1]] : [0, 0];
    const series = (s + spec.series.length) % spec.series.length;
    say(series, Math.min(Math.max(0, i), spec.series[series].points.length - 1));
  });
}

// The chart as a file: the rules of the style sheet are written into its elements.
function picture() {
  const shown = byId("chart").querySelector("svg");
  const copy = shown.cloneNode(true);
  const originals = [shown, ...shown.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((node, i) => {
    const style = getComputedStyle(originals[i]);
    for (const name of ["fill", "stroke", "stroke-width", "fill-opacity", "font-size", "font-family", "opacity"]) node.setAttribute(name, style.getPropertyValue(name));
  });
  copy.querySelector(".mark").remove();
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.prepend(svg("rect", { width: "100%", height: "100%", fill: getComputedStyle(document.body).backgroundColor }));
  return new XMLSerializer().serializeToString(copy);
}
