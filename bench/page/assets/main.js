// Start: unpack the data, fill the controls, draw everything once.

function drawSummary() {
  const count = (status) => DATA.records.filter((r) => r.status === status).length;
  const stale = DATA.records.filter((r) => r.stale).length;
  if (DATA.title) {
    document.title = `${DATA.title} · hashbench`;
    byId("title").textContent = DATA.title;
  }
  const methods = unique(DATA.records.map((r) => r.plugin)).length, settings = unique(DATA.records.map((r) => r.method)).length;
  byId("summary").textContent = [
    counted(DATA.records.length, "cell"), counted(methods, "method") + (settings > methods ? ` in ${settings} settings` : ""),
    counted(unique(DATA.records.map((r) => r.dataset)).length, "dataset"),
    count("failed") ? `${count("failed")} failed` : "", count("skipped") ? `${count("skipped")} skipped` : "", stale ? `${stale} stale` : "",
  ].filter(Boolean).join(" · ");
  byId("footer").textContent = `Written by hashbench ${DATA.version} from stored records. One file, no network, nothing recomputed.`;
}

function drawProtocol() {
  const p = protocol();
  byId("protocol-line").textContent = p.facts.map(([term, value]) => `${term} ${value}`).join(" · ");
  byId("protocol-words").replaceChildren(rows(p.facts), el("h3", null, "Datasets and notes"),
    el("ul", null, p.caption.slice(1).map((line) => el("li", null, line)), p.notes.map((line) => el("li", null, line))));
}

function drawChoices() {
  byId("protocol-choice").hidden = section().protocols.length < 2;
  fill(byId("protocol-select"), section().protocols.map((p, i) => [String(i), p.title]), String(state.protocol));
  fill(byId("metric"), section().metrics.map((m, i) => [String(i), m.title]), String(state.metric));
  const dataset = datasets().includes(chosen.dataset) ? chosen.dataset : datasets()[0];
  const direction = protocol().directions.includes(chosen.direction) ? chosen.direction : protocol().directions[0];
  const lengths = bitsOf(dataset);
  const bits = lengths.includes(chosen.bits) ? chosen.bits : lengths[Math.min(1, lengths.length - 1)];
  Object.assign(chosen, { dataset, direction, bits });
  fill(byId("curve-dataset"), datasets().map((d) => [d, d]), dataset);
  fill(byId("curve-direction"), protocol().directions.map((d) => [d, ARROWS[d]]), direction);
  fill(byId("curve-bits"), lengths.map((b) => [String(b), String(b)]), String(bits));
}

function drawAll() {
  drawChoices();
  drawProtocol();
  drawFacets();
  drawTable();
  drawDownloads();
  drawCurves();
  drawViewer();
}

// Another section, under the same metric where it has that.
function goTo(index) {
  const name = metric().name;
  Object.assign(state, { section: index, protocol: 0 });
  state.metric = Math.max(0, section().metrics.findIndex((m) => m.name === name));
}

function listen() {
  byId("section-choice").hidden = DATA.sections.length < 2;
  fill(byId("section-select"), DATA.sections.map((s, i) => [String(i), s.title]), "0");
  byId("section-select").addEventListener("change", (e) => { goTo(Number(e.target.value)); drawAll(); });
  byId("protocol-select").addEventListener("change", (e) => { state.protocol = Number(e.target.value); drawAll(); });
  byId("metric").addEventListener("change", (e) => { state.metric = Number(e.target.value); drawTable(); drawDownloads(); drawCurves(); });
  byId("search").addEventListener("input", (e) => { state.search = e.target.value; drawTable(); });
  byId("band").addEventListener("change", (e) => { state.band = e.target.checked; drawTable(); });
  byId("curve-dataset").addEventListener("change", (e) => { chosen.dataset = e.target.value; drawChoices(); drawCurves(); });
  byId("curve-direction").addEventListener("change", (e) => { chosen.direction = e.target.value; drawCurves(); });
  byId("curve-bits").addEventListener("change", (e) => { chosen.bits = Number(e.target.value); drawCurves(); });
  segments(byId("kinds"), KINDS, chosen.kind, (kind) => { chosen.kind = kind; drawCurves(); });
  let width = 0;
  new ResizeObserver(([entry]) => {
    if (Math.abs(entry.contentRect.width - width) < 1) return;
    width = entry.contentRect.width;
    if (redraw) redraw();
  }).observe(byId("chart"));
}

unpack(byId("data").textContent).then((data) => {
  DATA = data;
  drawSummary();
  byId("main").hidden = false;
  listen();
  drawAll();
});
