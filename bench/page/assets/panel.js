// Details beside a number, and a panel for all of them.

const tip = () => byId("tip");

function showTip(anchor, lines) {
  const node = tip();
  node.replaceChildren(...lines.map((line, i) => el(i ? "div" : "b", null, line)));
  node.hidden = false;
  const at = anchor.getBoundingClientRect();
  const size = node.getBoundingClientRect();
  const left = Math.min(Math.max(8, at.left + at.width / 2 - size.width / 2), window.innerWidth - size.width - 8);
  const above = at.top - size.height - 8;
  node.style.left = `${Math.max(8, left)}px`;
  node.style.top = `${above > 8 ? above : at.bottom + 8}px`;
}

function hideTip() { tip().hidden = true; }

function rows(pairs) {
  return el("dl", null, pairs.filter(([, v]) => v !== "" && v !== null && v !== undefined)
    .map(([term, value]) => [el("dt", null, term), el("dd", null, value)]));
}

function openPanel(title, body) {
  hideTip();
  byId("panel-title").replaceChildren(title);
  byId("panel-body").replaceChildren(...body);
  byId("panel").showModal();
  byId("panel-body").scrollTop = 0;
  byId("panel-title").focus();
}

byId("panel-close").addEventListener("click", () => byId("panel").close());
byId("panel").addEventListener("click", (event) => { if (event.target === byId("panel")) byId("panel").close(); });
document.addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });
document.addEventListener("scroll", hideTip, { passive: true, capture: true });
