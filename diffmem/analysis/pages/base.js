"use strict"; // data, elements, plots and tables
// Everything that comes from runs is put in as text (textContent) or as an escaped label, never as HTML.
const data = JSON.parse(document.getElementById("data").textContent);
// Colours that stand out from the paper and from each other, for the colour-blind too (tests/analysis/pages/test_colors.py).
const LIGHT = ["#0072B2", "#D55E00", "#442222", "#8800FF", "#888866", "#220088", "#880066"];
const DARK = ["#5DB3F0", "#FF9A4D", "#F2F2D0", "#8F62FF", "#F0317A", "#A8F000", "#00F0F0"];
const MARKS = { "τ_gen": 3, "τ_overfit": 4, "τ_mem": 1 };
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];
const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
const SHADES = [[0, 0.55], [0.4, 1]]; // ends of the scale on light and on dark paper
const dark = window.matchMedia("(prefers-color-scheme: dark)");

const paintOf = (place) => (dark.matches ? DARK : LIGHT)[place % LIGHT.length];

function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node && name !== "role") node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

const label = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const short = (value) => (value === null || value === undefined ? "–" : String(Number(Number(value).toPrecision(4))));

function faded(hex, alpha) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return `rgba(${r},${g},${b},${alpha})`;
}

// Of a scale from dark to light that stands out from the paper at both ends; place is 0 to 1.
function shade(place) {
  const [first, last] = SHADES[dark.matches ? 1 : 0];
  const at = (first + (last - first) * place) * (VIRIDIS.length - 1);
  const low = Math.min(Math.floor(at), VIRIDIS.length - 2);
  const mix = VIRIDIS[low].map((value, i) => Math.round(value + (at - low) * (VIRIDIS[low + 1][i] - value)));
  return "#" + mix.map((value) => value.toString(16).padStart(2, "0")).join("");
}

const shadeOf = (value, values) => shade(values.length > 1 ? values.indexOf(value) / (values.length - 1) : 0.5);

function axis(title, log, values = []) {
  const positive = values.filter((value) => value > 0);
  const wide = !positive.length || Math.max(...positive) > 60 * Math.min(...positive);
  return {
    title: { text: label(title), standoff: 6 }, type: log ? "log" : "linear", gridcolor: color("--grid"),
    linecolor: color("--line"), zerolinecolor: color("--grid"), automargin: true, exponentformat: "power",
    dtick: log ? (wide ? 1 : "D2") : undefined, tickformat: log && !wide ? "~g" : undefined, minor: log && wide ? { ticks: "inside", ticklen: 3 } : undefined,
  };
}

function layout(x, y, extra = {}) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: color("--text"), size: 11 },
    margin: { l: 52, r: 10, t: 30, b: 38 }, modebar: { bgcolor: "rgba(0,0,0,0)", color: color("--faint"), activecolor: color("--text") }, showlegend: false, hovermode: "closest", xaxis: x, yaxis: y,
    hoverlabel: { bgcolor: color("--card"), font: { color: color("--text") }, namelength: -1 }, ...extra,
  };
}

const upright = (x, line = { color: color("--faint"), width: 1, dash: "dot" }) => ({ type: "line", yref: "paper", y0: 0, y1: 1, x0: x, x1: x, line });

// Whether a logarithmic axis shows more than a linear one.
function spans(values) {
  const positive = values.filter((value) => value > 0);
  return positive.length > 0 && Math.max(...positive) > 3 * Math.min(...positive);
}

const CONFIG = { displaylogo: false, responsive: true, modeBarButtons: [["toImage", "resetScale2d"]], displayModeBar: "hover" };

// Plots draw themselves when they come near the window, and once plotly.js is there: a page of a hundred runs opens at once.
const seen = new IntersectionObserver((entries) => entries.forEach((entry) => entry.target.plot.come(entry.isIntersecting)), { rootMargin: "400px" });

// A plot that draws itself again: build() gives traces and layout, hidden names stay hidden.
function plot(node, description, build, ready = () => {}) {
  const hidden = new Set();
  let near = false, stale = false, begun = false, waiting = false;
  node.setAttribute("role", "group");
  node.setAttribute("aria-label", description);
  const handle = {
    node, hidden,
    come(isNear = near) {
      near = isNear;
      if (near && stale) handle.draw();
    },
    draw(always = near) {
      stale = !always || !window.Plotly;
      if (stale) return;
      const [traces, shape] = build();
      for (const trace of traces) trace.visible = !hidden.has(trace.meta);
      Plotly.react(node, traces, shape, CONFIG);
      if (!begun) ready(node);
      begun = true;
    },
    drawSoon() { // once a frame, however fast a slider moves
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => { waiting = false; handle.draw(); });
    },
    toggle(name, shown = hidden.has(name)) {
      if (shown) hidden.delete(name); else hidden.add(name);
      handle.draw();
      return shown;
    },
  };
  node.plot = handle;
  seen.observe(node);
  handle.draw();
  return handle;
}

function clear(into) {
  into.querySelectorAll(".plot").forEach((node) => { seen.unobserve(node); window.Plotly?.purge(node); });
  into.replaceChildren();
}

function card(into, title, entries, description, build, { note, wide, height, controls, ready } = {}) {
  const node = make("div", { className: "plot" });
  if (height) node.style.height = `${height}px`;
  const outer = make("div", { className: wide ? "card wide" : "card" }, make("h4", {}, title));
  if (controls) outer.append(make("div", { className: "controls" }, ...controls));
  into.append(outer);
  const row = legend(entries, (name, shown) => handle.toggle(name, shown));
  outer.append(row, node, ...(note ? [make("p", { className: "faint" }, note)] : []));
  const handle = plot(node, description, build, ready);
  return handle;
}

function legend(entries, toggle) {
  const row = make("div", { className: "legend" });
  const buttons = entries.map(({ name, paint, dashed }) => {
    const swatch = make("span", { className: dashed ? "swatch dashed" : "swatch" });
    swatch.style.borderColor = paint;
    const button = make("button", { type: "button", "aria-pressed": "true" }, swatch, String(name));
    button.addEventListener("click", () => button.setAttribute("aria-pressed", String(toggle(name))));
    return button;
  });
  row.append(...buttons);
  if (buttons.length > 6) for (const [text, shown] of [["all", true], ["none", false]]) {
    const every = make("button", { type: "button", className: "every" }, text);
    every.addEventListener("click", () => buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(toggle(entries[i].name, shown)))));
    row.append(every);
  }
  return row;
}

function choice(text, names, chosen, changed) {
  const select = make("select", {}, ...names.map((name, i) => make("option", { value: i }, name)));
  select.value = String(chosen);
  select.addEventListener("change", () => changed(Number(select.value)));
  return make("label", {}, text, select);
}

function table(header, rows, caption, links = []) {
  const head = make("tr", {}, ...header.map((name) => make("th", { scope: "col" }, make("button", { type: "button" }, String(name)))));
  const body = make("tbody", {}, ...rows.map((row, line) => make("tr", {}, ...row.map((value, place) => {
    const text = value === null ? "" : String(value);
    const shown = place === 0 && links[line] ? make("a", { href: links[line] }, text) : text;
    return make("td", { className: text.length > 40 ? "long" : "" }, shown);
  }))));
  const made = make("table", { className: "sortable" }, make("caption", {}, caption), make("thead", {}, head), body);
  const outer = make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": caption }, made);
  const filtered = filter(made);
  sortable(made);
  return filtered ? make("div", {}, filtered, outer) : outer;
}

function order(text) {
  const found = text.replaceAll("−", "-").match(/-?\d[\d.]*(e[+-]?\d+)?/i);
  return found ? Number(found[0]) : null;
}

function sortable(made) {
  made.querySelectorAll("thead th").forEach((head, place) => head.querySelector("button").addEventListener("click", () => {
    const descending = head.getAttribute("aria-sort") === "ascending";
    made.querySelectorAll("thead th").forEach((each) => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const rows = [...made.tBodies[0].rows];
    const texts = rows.map((row) => row.cells[place].textContent.trim());
    const numeric = texts.every((text) => text === "" || text === "–" || /^[<>−-]?\s*\d/.test(text));
    const key = (row) => (numeric ? order(row.cells[place].textContent) : row.cells[place].textContent);
    rows.sort((a, b) => {
      const [left, right] = [key(a), key(b)];
      if (left === null || right === null) return (left === null) - (right === null);
      const sign = numeric ? left - right : left.localeCompare(right);
      return descending ? -sign : sign;
    });
    made.tBodies[0].append(...rows);
  }));
}

// A field that leaves only some rows of a long table.
function filter(made) {
  if (made.tBodies[0].rows.length <= 20) return null;
  const box = make("input", { type: "search" });
  box.addEventListener("input", () => {
    const wanted = box.value.toLowerCase();
    for (const row of made.tBodies[0].rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
  return make("div", { className: "controls" }, make("label", {}, "rows with ", box));
}
