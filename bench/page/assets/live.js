// Ask for the state of the results folder every two seconds, and show it.

const EVERY = 2000;
const ARROWS = { i2t: "I→T", t2i: "T→I", i2i: "I→I", t2t: "T→T" };

function lasting(seconds) {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

function sweep(s, now) {
  const share = s.total ? s.finished / s.total : 1;
  const where = `process ${s.pid} on ${s.host}`;
  const said = s.alive === null ? `on another machine, so whether it still runs is unknown (${where})`
    : s.alive ? (s.left === null ? "no cell finished yet, so the time left is unknown" : `about ${lasting(s.left)} left at this pace`)
      : `stopped before its end (${where}); \`bench run\` resumes it`;
  return el("div", { class: "sweep" },
    el("p", { class: "big" }, `${s.finished} of ${s.total}`, el("span", { class: "quiet" }, ` cells to compute${s.failed ? `, ${s.failed} failed` : ""}`)),
    el("progress", { max: 1, value: share, "aria-label": "cells finished" }),
    el("p", { class: "quiet" }, s.alive === false ? said : `${said}; running for ${lasting(now - s.since)}, up to ${counted(s.jobs, "job")} at once`));
}

function line(cell) {
  const values = Object.entries(cell.map).map(([d, v]) => `${ARROWS[d]} ${short(v)}`).join("  ");
  return el("tr", null, el("th", { scope: "row" }, cell.text), el("td", null, cell.status),
    el("td", null, cell.status === "done" ? `mAP ${values}` : cell.reason), el("td", null, cell.status === "done" ? `fit ${cell.fit.toFixed(2)} s` : ""),
    el("td", null, new Date(cell.time * 1000).toLocaleTimeString()));
}

function draw(status) {
  byId("folder").textContent = status.folder + (status.study ? `, ${counted(status.study, "cell")} of the study` : "");
  byId("clock").textContent = new Date(status.now * 1000).toLocaleTimeString();
  byId("sweeps").replaceChildren(...(status.sweeps.length ? status.sweeps.map((s) => sweep(s, status.now))
    : [el("p", { class: "notice" }, "No sweep is running on this folder.")]));
  const names = ["done", "running", "failed", "skipped", "stale", "missing"];
  const counts = { ...status.counts, running: status.running.length };
  byId("counts").replaceChildren(...names.filter((name) => counts[name] || name === "done" || name === "running" || name === "failed")
    .map((name) => el("div", { "data-count": name, class: counts[name] ? "some" : "" }, el("dd", null, (counts[name] || 0).toLocaleString("en")), el("dt", null, name))));
  byId("running").replaceChildren(status.running.length
    ? el("ul", null, status.running.map((r) => el("li", null, r.text, el("span", { class: "quiet" }, ` since ${lasting(status.now - r.since)}`))))
    : el("p", { class: "quiet" }, "Nothing."));
  byId("latest").replaceChildren(status.latest.length ? el("table", { class: "plain-table" }, el("tbody", null, status.latest.map(line)))
    : el("p", { class: "quiet" }, "No stored cells yet."));
  byId("failures").hidden = !status.failed.length;
  byId("failed").replaceChildren(el("ul", null, status.failed.map((f) => el("li", null, el("b", null, f.text), `: ${f.reason}`))));
}

async function ask() {
  try {
    draw(await (await fetch("status.json")).json());
  } catch (error) {
    byId("clock").textContent = "The server has stopped; this is its last state.";
  }
  setTimeout(ask, EVERY);
}

ask();
