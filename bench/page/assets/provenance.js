// The details of a number: a summary beside it, everything in a panel.

function summary(n) {
  const { dataset, direction, bits } = n.column;
  const lines = [`${n.method} · ${dataset} ${ARROWS[direction]} · ${bits} bits`];
  if (n.mean !== null) {
    lines.push(`${metric().title} ${short(n.mean, 4)}${n.sd === null ? "" : ` ± ${short(n.sd, 4)}`}`
      + ` over ${counted(n.values.length, "seed")}`);
    if (n.low !== null && n.high !== null) lines.push(`orders of ties: ${short(n.low)} to ${short(n.high)}`);
    if (n.chance !== null) lines.push(`chance ${short(n.chance)}`);
    if (alike(n)) lines.push(`≈ ${ALIKE}`);
  }
  for (const r of unique(n.trouble.map((t) => `${t.status}: ${t.reason}`))) lines.push(r);
  if (n.stale.length) lines.push(`§ stale: ${n.stale[0].stale}`);
  lines.push(protocol().title);
  return lines;
}

function openNumber(n) {
  const { dataset, direction, bits } = n.column;
  const first = n.records[0];
  const sure = n.mean === null ? unique(n.trouble.map((r) => r.status)).join(", ")
    : `${short(n.mean, 4)}${n.sd === null ? "" : ` ± ${short(n.sd, 4)}`}`;
  const empty = unique(n.records.filter((r) => r.queries !== null).map((r) => r.empty[direction] || 0));
  openPanel(`${n.method}, ${dataset} ${ARROWS[direction]}, ${bits} bits`, [
    el("p", { class: "big" }, `${metric().title} ${sure}`),
    el("h3", null, "The number"),
    rows([
      ["metric", metric().words],
      ["mean", `over queries with a relevant item, then over ${counted(n.values.length, "seed")}; ± is the standard deviation over seeds`],
      ["ties", "expected over all orders of items at the same distance"
        + (n.low === null || n.high === null ? "" : `; the worst order gives ${short(n.low, 4)}, the best ${short(n.high, 4)}`)],
      ["chance", n.chance === null ? "" : short(n.chance, 4)],
      ["against the best", n.p === null ? "" : `p = ${n.p.toPrecision(2)}, Holm-corrected, the larger of a test over queries and one over seeds`],
      ["queries", first.queries === null ? "" : `${first.queries.toLocaleString("en")}, of which ${empty.join(" or ")} without a relevant item, left out of the mean`],
      ["database", first.items === null ? "" : `${first.items.toLocaleString("en")} items after the last round`],
    ]),
    el("h3", null, "Protocol"),
    rows(factsOf(first)),
    el("h3", null, "Method"),
    rows([
      ["method", n.method],
      ["origin", first.fidelity],
      ["contract", unique(n.records.map((r) => r.contract)).filter(Boolean).join("; ")],
      ["reference", protocol().methods[n.method].reference],
      ["saw the future", first.future ? "its offline stage had the items of all rounds" : ""],
      ["note", unique(n.records.flatMap((r) => r.notes)).join("; ")],
      ["state", first.state === null ? "" : bytes(first.state)],
    ]),
    el("h3", null, n.records.length === 1 ? "The run" : "The runs"),
    ...n.records.map((r) => runOf(r, direction)),
    el("h3", null, "Again"),
    el("pre", null, command(n)),
  ]);
}

function factsOf(record) {
  return protocol().facts.map(([term, value]) => (
    term === "pool" && record.pool === "none" && !value.startsWith("none")
      ? [term, `${value} (none for this method: it has no offline stage)`] : [term, value]));
}

function runOf(r, direction) {
  const at = DATA.names.indexOf(metric().name);
  const value = (r.values[direction] || [])[at];
  const environment = DATA.environments[r.environment];
  const machine = Object.entries(environment).map(([k, v]) => `${k} ${v}`).join(" · ");
  return el("div", { class: "run" }, rows([
    ["seed", String(r.seed)],
    ["value", value === null || value === undefined ? "" : short(value, 6)],
    ["status", r.status === "ok" ? "" : `${r.status}: ${r.reason}`],
    ["stale", r.stale],
    ["key", r.key],
    ["code", r.code],
    ["data", r.data],
    ["trained", r.status === "ok" ? `${r.fit.toFixed(2)} s${environment.jobs > 1 ? `, while other cells ran (${environment.jobs} jobs)` : ""}` : ""],
    ["environment", machine],
  ]));
}

// The line that computes this number, as one would type it in a shell.
function command(n) {
  const quoted = (text) => (/^[\w:.,-]+$/.test(text) ? text : `'${String(text).replaceAll("'", "'\\''")}'`);
  const r = n.records[0];
  const s = protocol().spec;
  const seeds = n.records.map((x) => x.seed).sort((a, b) => a - b);
  const listed = seeds.every((seed, i) => seed === i) ? String(seeds.length) : `[${seeds.join(",")}]`;
  const parts = ["bench run", `--methods ${quoted(r.method)}`, `--datasets ${quoted(r.dataset)}`, `--bits ${r.bits}`,
    `--seeds ${quoted(listed)}`, s.schedule ? `--schedule ${s.schedule}` : "", s.last === "short" ? "--last short" : "",
    `--database ${s.database}`, r.pool === "none" ? "" : `--pool ${r.pool}`, `--evaluate ${s.evaluate}`,
    ...Object.entries(s.withheld).map(([name, share]) => `--${name} ${share}`), s.val ? `--val ${s.val}` : "", `--directions ${protocol().directions.join(",")}`];
  return parts.filter(Boolean).join(" \\\n  ");
}
