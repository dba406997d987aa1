// The data of the page, and which records every number is the mean of.

let DATA = null;
const state = {
  section: 0, protocol: 0, metric: 0, search: "", band: false, sort: { column: "", descending: true },
  off: { dataset: new Set(), direction: new Set(), bits: new Set() }, hidden: new Set(),
};

const section = () => DATA.sections[state.section];
const protocol = () => section().protocols[state.protocol];
const metric = () => section().metrics[state.metric];
const records = () => protocol().records.map((i) => DATA.records[i]);
const datasets = () => unique(records().map((r) => r.dataset));
const bitsOf = (dataset) => unique(records().filter((r) => !dataset || r.dataset === dataset).map((r) => r.bits))
  .sort((a, b) => a - b);

// A method keeps its colour in every view.
const styleOf = (name) => DATA.styles[name];

// The records of every cell of a protocol, the number of seeds of every dataset, and p by cell and direction,
// gathered once.
function cellsOf(p) {
  if (!p.cells) {
    p.cells = new Map();
    p.seeds = new Map();
    p.tested = new Map(p.p.map(([method, dataset, direction, bits, value]) => [JSON.stringify([method, dataset, direction, bits]), value]));
    for (const r of p.records.map((i) => DATA.records[i])) {
      const key = JSON.stringify([r.method, r.dataset, r.bits]);
      p.cells.set(key, [...(p.cells.get(key) || []), r]);
      p.seeds.set(r.dataset, (p.seeds.get(r.dataset) || new Set()).add(r.seed));
    }
  }
  return p.cells;
}

const cell = (method, dataset, bits) => cellsOf(protocol()).get(JSON.stringify([method, dataset, bits])) || [];

function valuesOf(found, name, direction) {
  const at = DATA.names.indexOf(name);
  return found.map((r) => (r.values[direction] || [])[at]).filter((v) => v !== null && v !== undefined);
}

// One number of the table: the mean over the seeds of a cell, with its details.
function number(method, column) {
  const found = cell(method, column.dataset, column.bits);
  if (!found.length) return null;
  const of = (name) => valuesOf(found, name, column.direction);
  const values = of(metric().name);
  const bound = (name) => mean(of(`${metric().name}:${name}`));
  return {
    method, column, records: found, values, mean: mean(values), sd: deviation(values),
    low: bound("pessimistic"), high: bound("optimistic"), chance: mean(of(metric().chance)),
    constant: found.some((r) => r.constant), stale: found.filter((r) => r.stale), trouble: found.filter((r) => r.status !== "ok"),
    p: (metric().name === "map" ? protocol().tested.get(JSON.stringify([method, column.dataset, column.direction, column.bits])) : null) ?? null,
    seeds: protocol().seeds.get(column.dataset).size,
  };
}

const ALIKE = "not significantly different from the best of its column";
const alike = (n) => n.p !== null && n.p >= DATA.level;

function columns() {
  const shown = (axis, value) => !state.off[axis].has(String(value));
  const found = [];
  for (const dataset of datasets()) {
    for (const direction of protocol().directions) {
      for (const bits of bitsOf(dataset)) {
        if (shown("dataset", dataset) && shown("direction", direction) && shown("bits", bits)) {
          found.push({ dataset, direction, bits, id: JSON.stringify([dataset, direction, bits]) });
        }
      }
    }
  }
  return found;
}

// Equal texts get equal marks, and constant codes none, as in the tables of the command line.
function marksOf(numbers) {
  const ranked = numbers.filter((n) => n && n.mean !== null && !n.constant);
  const texts = new Map();
  for (const n of ranked) texts.set(short(n.mean), n.mean);
  const order = [...texts.keys()].sort((a, b) => texts.get(b) - texts.get(a));
  return texts.size > 1 || ranked.length > 1 ? order.slice(0, 2) : [];
}
