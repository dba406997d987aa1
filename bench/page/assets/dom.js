// Elements, and numbers as text. Every text goes through a text node: nothing stored is ever read as markup.

const byId = (id) => document.getElementById(id);

function make(space, tag, attributes, children) {
  const node = space ? document.createElementNS(space, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

const el = (tag, attributes, ...children) => make(null, tag, attributes, children);
const svg = (tag, attributes, ...children) => make("http://www.w3.org/2000/svg", tag, attributes, children);

// ".712" as the tables of the command line have it.
function short(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  return value.toFixed(digits).replace(/^(-?)0\./, "$1.");
}

function counted(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

function bytes(number) {
  const units = ["B", "kB", "MB", "GB"];
  let i = 0;
  while (number >= 999.5 && i < 3) { number /= 1000; i += 1; }
  return `${i && number < 100 ? number.toFixed(1) : number.toFixed(0)} ${units[i]}`;
}

function mean(values) {
  return values.length ? values.reduce((a, b) => a + b, 0) / values.length : null;
}

function deviation(values) {
  if (values.length < 2) return null;
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, v) => sum + (v - middle) ** 2, 0) / (values.length - 1));
}

// A label that may go on in a second line after a comma, so that all of it can be read.
const breakable = (label) => label.split(/(?<=,)/).flatMap((part, i) => (i ? [el("wbr"), part] : [part]));

const unique = (values) => [...new Set(values)];

function fill(select, options, chosen) {
  select.replaceChildren(...options.map(([value, text]) => el("option", { value, selected: value === chosen }, text)));
}

function save(name, content, type) {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = el("a", { href: url, download: name.replace(/[^\w.-]+/g, "_") });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

// Arrow keys move the focus among the buttons of a group, of which one can be reached by Tab.
function roving(group, selector, choose) {
  group.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const buttons = [...group.querySelectorAll(selector)];
    const here = buttons.indexOf(document.activeElement);
    if (here < 0 || (!step && event.key !== "Home" && event.key !== "End")) return;
    event.preventDefault();
    const there = event.key === "Home" ? 0 : event.key === "End" ? buttons.length - 1
      : (here + step + buttons.length) % buttons.length;
    choose(there);
    group.querySelectorAll(selector)[there].focus();
  });
}

// A choice of one among a few: radio buttons that look like a row of segments.
function segments(group, options, chosen, choose) {
  const draw = (value) => group.replaceChildren(...options.map(([option, text]) => el("button", {
    type: "button", role: "radio", "aria-checked": String(option === value), tabindex: option === value ? 0 : -1,
    onclick: () => { draw(option); choose(option); },
  }, text)));
  draw(chosen);
  if (!group.dataset.roving) {
    group.dataset.roving = "yes";
    roving(group, "button", (i) => group.querySelectorAll("button")[i].click());
  }
}
