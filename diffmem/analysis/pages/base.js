"use strict"; // data, elements, plots and tables
// Everything that comes from runs is put in as text (textContent) or as an escaped label, never as HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const LIGHT = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#882255", "#999933", "#332288"]; // Okabe and Ito, then Tol
const DARK = ["#5DB3F0", "#FF9A4D", "#3FD1A5", "#F0A3CF", "#9AD3F5", "#FFD166", "#E58BB5", "#D9D973", "#A69BE8"]; // the same, lighter
const MARKS = { "τ_gen": 2, "τ_overfit": 5, "τ_mem": 1 };
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];
const VIRIDIS = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
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

function colorOfN(n, sizes) {
  const place = sizes.length > 1 ? sizes.indexOf(n) / (sizes.length - 1) : 0.5;
  const at = (dark.matches ? 0.2 + 0.8 * place : 0.85 * place) * (VIRIDIS.length - 1);
  const low = Math.min(Math.floor(at), VIRIDIS.length - 2);
  const mix = VIRIDIS[low].map((value, i) => Math.round(value + (at - low) * (VIRIDIS[low + 1][i] - value)));
  return "#" + mix.map((value) => value.toString(16).padStart(2, "0")).join("");
}

function axis(title, log, values = []) {
  const positive = values.filter((value) => value > 0);
  const wide = !positive.length || Math.max(...positive) > 60 * Math.min(...positive);
  return {
    title: { text: label(title), standoff: 6 }, type: log ? "log" : "linear", gridcolor: color("--grid"),
    linecolor: color("--line"), zerolinecolor: color("--grid"), automargin: true, exponentformat: "power",
    dtick: log ? (wide ? 1 : "D2") : undefined, tickformat: log && !wide ? "~g" : undefined, minor: log && wide ? { ticks: "outside" } : undefined,
  };
}

function layout(x, y, extra = {}) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: color("--text"), size: 11 },
    margin: { l: 52, r: 10, t: 30, b: 38 }, modebar: { bgcolor: "rgba(0,0,0,0)", color: color("--faint"), activecolor: color("--text") }, showlegend: false, hovermode: "closest", xaxis: x, yaxis: y,
    hoverlabel: { bgcolor: color("--card"), font: { color: color("--text") }, namelength: -1 }, ...extra,
  };
}

const CONFIG = { displaylogo: false, responsive: true, modeBarButtons: [["toImage", "resetScale2d"]], displayModeBar: "hover" };

// A plot that draws itself again: build() gives traces and layout, hidden names stay hidden.
function plot(node, description, build) {
  const hidden = new Set();
  node.setAttribute("role", "img");
  node.setAttribute("aria-label", description);
  const handle = {
    node, hidden,
    draw() {
      const [traces, shape] = build();
      for (const trace of traces) trace.visible = !hidden.has(trace.meta);
      return Plotly.react(node, traces, shape, CONFIG);
    },
    toggle(name) {
      if (!hidden.delete(name)) hidden.add(name);
      handle.draw();
      return !hidden.has(name);
    },
  };
  return handle;
}

function legend(entries, toggle) {
  const row = make("div", { className: "legend" });
  for (const { name, paint, dashed } of entries) {
    const swatch = make("span", { className: dashed ? "swatch dashed" : "swatch" });
    swatch.style.borderColor = paint;
    const button = make("button", { type: "button", "aria-pressed": "true" }, swatch, String(name));
    button.addEventListener("click", () => button.setAttribute("aria-pressed", String(toggle(name))));
    row.append(button);
  }
  return row;
}

function table(header, rows, caption) {
  const head = make("tr", {}, ...header.map((name) => make("th", { scope: "col" }, make("button", { type: "button" }, String(name)))));
  const body = make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((value) => {
    const text = value === null ? "" : String(value);
    return make("td", { className: text.length > 40 ? "long" : "" }, text);
  }))));
  const made = make("table", { className: "sortable" }, make("caption", {}, caption), make("thead", {}, head), body);
  sortable(made);
  return make("div", { className: "scroll", tabIndex: 0 }, made);
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
    const numeric = texts.every((text) => text === "" || text === "–" || /^[>−-]?\s*\d/.test(text));
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
