"use strict";
// Everything that comes from runs is put in as text (textContent) or as an escaped label, never as HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const LIGHT = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"]; // Okabe and Ito
const DARK = ["#5DB3F0", "#FF9A4D", "#3FD1A5", "#F0A3CF", "#9AD3F5", "#FFD166"]; // the same, lighter
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
const short = (value) => (value === null || value === undefined ? "–" : Number(value).toPrecision(4).replace(/\.?0+$/, ""));

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

// ---- one run -------------------------------------------------------------------------------------------------------

const view = { logX: true, logY: true, bands: true, times: true, step: null };

function runPanels(run, into) {
  const drawn = [];
  const controls = make("div", { className: "controls" });
  for (const [key, text] of [["logX", "logarithmic time"], ["logY", "logarithmic values"], ["bands", "intervals"], ["times", "times as marks"]]) {
    const box = make("input", { type: "checkbox", checked: view[key] });
    box.addEventListener("change", () => { view[key] = box.checked; drawn.forEach((each) => each.draw()); });
    controls.append(make("label", {}, box, text));
  }
  const grid = make("div", { className: "panels" });
  into.append(controls, grid);
  for (const panel of run.panels) {
    const node = make("div", { className: "plot" });
    const last = panel.curves.map((curve) => `${curve.name} ends at ${short(curve.y.at(-1))}`).join(", ");
    const handle = plot(node, `${panel.title} against training time: ${last}`, () => panelPlot(run, panel));
    const entries = panel.curves.map((curve, i) => ({ name: curve.name, paint: paintOf(i), dashed: curve.dashed }));
    grid.append(make("div", { className: "card" }, make("h4", {}, panel.title), legend(entries, handle.toggle), node));
    drawn.push(handle);
  }
  return drawn;
}

function panelPlot(run, panel) {
  const traces = [];
  panel.curves.forEach((curve, i) => {
    const paint = paintOf(i);
    const here = curve.x.map((x, at) => at).filter((at) => !view.logX || curve.x[at] > 0);
    const pick = (values) => here.map((at) => values[at]);
    if (view.bands && curve.low) {
      traces.push({
        x: [...pick(curve.x), ...pick(curve.x).reverse()], y: [...pick(curve.high), ...pick(curve.low).reverse()],
        fill: "toself", fillcolor: faded(paint, 0.18), line: { width: 0 }, mode: "lines", hoverinfo: "skip", meta: curve.name,
      });
    }
    const interval = curve.low ? here.map((at) => ` [${short(curve.low[at])}, ${short(curve.high[at])}]`) : here.map(() => "");
    traces.push({
      x: pick(curve.x), y: pick(curve.y), mode: "lines+markers", marker: { size: 4 }, name: label(curve.name), meta: curve.name,
      line: { color: paint, width: 1.6, dash: curve.dashed ? "dash" : "solid" }, connectgaps: true,
      text: interval, hovertemplate: "%{y:.4g}%{text} at %{x}<extra>" + label(curve.name) + "</extra>",
    });
  });
  const shapes = [], annotations = [];
  if (view.times) run.times.filter((time) => time.value !== null).forEach((time, place) => {
    const paint = paintOf(MARKS[time.symbol]);
    const shown = (x) => (view.logX && x <= 0 ? run.panels[0].curves[0].x.find((each) => each > 0) : x);
    shapes.push({ type: "rect", yref: "paper", y0: 0, y1: 1, x0: shown(time.low), x1: time.high, fillcolor: faded(paint, 0.12), line: { width: 0 }, layer: "below" });
    shapes.push({
      type: "line", yref: "paper", y0: 0, y1: 1, x0: time.value, x1: time.value, line: { color: paint, width: 1.5, dash: time.censored ? "dot" : "solid" },
    });
    annotations.push({ text: (time.censored ? "&gt; " : "") + time.symbol, x: view.logX ? Math.log10(time.value) : time.value, y: 1, yref: "paper", yanchor: "bottom", yshift: 11 * place - 3, showarrow: false, font: { size: 10, color: color("--text") } });
  });
  if (view.step !== null && run.clock === "updates" && (view.step > 0 || !view.logX)) {
    shapes.push({ type: "line", yref: "paper", y0: 0, y1: 1, x0: view.step, x1: view.step, line: { color: color("--faint"), width: 1, dash: "dash" } });
  }
  const values = panel.curves.flatMap((curve) => curve.y);
  const times = panel.curves.flatMap((curve) => curve.x);
  const margin = { l: 52, r: 10, t: 42, b: 38 };
  return [traces, layout(axis(run.clock, view.logX, times), axis("", view.logY && panel.log, values), { shapes, annotations, margin })];
}

function tile(sheet, place, columns, count) {
  const node = make("span", { className: "tile" });
  node.style.backgroundImage = `url("${sheet}")`;
  node.style.backgroundSize = `${columns * 48}px ${Math.ceil(count / columns) * 48}px`;
  node.style.backgroundPosition = `-${(place % columns) * 48}px -${Math.floor(place / columns) * 48}px`;
  return node;
}

function runPictures(run, into, moved) {
  const shown = run.pictures;
  if (!shown) {
    into.append(make("p", { className: "faint" }, "This run kept no pictures (pictures.num_samples = 0, or its data are not images)."));
    return;
  }
  const slider = make("input", { type: "range", min: 0, max: shown.steps.length - 1, value: shown.steps.length - 1, id: "step" });
  const sort = make("input", { type: "checkbox" });
  const says = make("output", { htmlFor: "step" });
  const pairs = make("div", { className: "pairs" });
  const histogram = make("div", { className: "plot" });
  const hits = make("div", { className: "pairs" });
  const hitsTitle = make("p", { className: "faint" });
  into.append(
    make("div", { className: "controls" }, make("label", {}, "step ", slider), says, make("label", {}, sort, "sort by distance ratio")),
    make("p", { className: "faint" }, `Each pair: a sample, then its nearest training image; below, the ratio of the distances to the nearest and second nearest. Framed: a copy (ratio below ${short(shown.threshold)}).`
      + (shown.left_out ? ` Pictures of ${shown.left_out} steps are left out to keep the page small.` : "")),
    pairs,
  );
  const graph = plot(histogram, "Histogram of the distance ratios of the samples, and of the same against held-out images", () => {
    const step = shown.steps[slider.value];
    const centers = shown.edges.slice(1).map((edge, i) => (edge + shown.edges[i]) / 2);
    const width = centers.map(() => shown.edges[1]);
    const bars = (y, name, paint, opacity) => ({ type: "bar", x: centers, y, width, marker: { color: paint }, opacity, name, meta: name, hovertemplate: "%{y:.1%} at %{x:.2f}<extra>" + name + "</extra>" });
    const traces = [bars(step.share, "training images", paintOf(1), 0.75)];
    if (step.null) traces.push(bars(step.null, "held-out images", paintOf(0), 0.45));
    const line = { type: "line", yref: "paper", y0: 0, y1: 1, x0: shown.threshold, x1: shown.threshold, line: { color: color("--text"), width: 1.2, dash: "dot" } };
    return [traces, layout({ ...axis("nearest / second nearest distance", false), range: [0, 1] }, { ...axis("share of samples", false), tickformat: ".0%" }, { barmode: "overlay", shapes: [line] })];
  });
  const entries = [{ name: "training images", paint: paintOf(1) }, { name: "held-out images", paint: paintOf(0) }];
  into.append(make("div", { className: "panels" },
    make("div", { className: "card" }, make("h4", {}, "Distance ratios at this step"), legend(entries, graph.toggle), histogram),
    make("div", { className: "card" }, make("h4", {}, "Training images copied at this step"), hitsTitle, hits)));
  function draw() {
    const step = shown.steps[slider.value];
    view.step = step.step;
    says.textContent = `step ${step.step}: ${step.num_copies} of ${step.num_samples} samples are copies, of ${step.num_copied} training images`;
    slider.setAttribute("aria-valuetext", says.textContent);
    const places = step.ratio.map((_, i) => i);
    if (sort.checked) places.sort((a, b) => step.ratio[a] - step.ratio[b]);
    pairs.replaceChildren(...places.map((i) => {
      const copy = step.ratio[i] < shown.threshold, row = step.nearest[i];
      const about = `sample ${i}${copy ? ", a copy" : ""}: nearest training image ${row} at distance ${short(step.distance[i])}, ratio ${step.ratio[i].toFixed(2)}`;
      return make("figure", { className: copy ? "pair copy" : "pair", role: "img", "aria-label": about, title: about },
        tile(step.sheet, i, shown.columns, step.ratio.length), tile(shown.training, shown.places[row], shown.columns, shown.num_places),
        make("figcaption", {}, step.ratio[i].toFixed(2)));
    }));
    if (!step.ratio.length) pairs.append(make("p", { className: "faint" }, "The pictures of this step are left out."));
    hitsTitle.textContent = step.hits.length ? "Below each: how many samples copy it, and the first step with a copy of it." : "None.";
    hits.replaceChildren(...step.hits.map(([row, count]) => {
      const about = `training image ${row}: ${count} copies at this step, first copied at step ${shown.first[row]}`;
      const picture = row in shown.places ? [tile(shown.training, shown.places[row], shown.columns, shown.num_places)] : [];
      return make("figure", { className: "pair", role: "img", "aria-label": about, title: about }, ...picture,
        make("figcaption", {}, `${count} ×`, make("br"), `from ${shown.first[row]}`));
    }));
    graph.draw();
    moved.forEach((each) => each.draw());
  }
  slider.addEventListener("input", draw);
  sort.addEventListener("change", draw);
  draw();
}

function showRun(place, focus) {
  const run = data.runs[place], into = document.getElementById("run");
  view.step = null;
  into.replaceChildren();
  const heading = make("h2", { tabIndex: -1 }, data.study ? run.name : "The run");
  into.append(heading);
  into.append(make("ul", { className: "facts" }, ...run.facts.map(([key, value]) => make("li", {}, make("span", { className: "faint" }, key + " "), make("b", {}, value)))));
  into.append(make("ul", { className: "facts" }, ...run.times.map((time) => make("li", {}, make("span", { className: "faint" }, time.symbol + " "), make("b", {}, time.text)))));
  into.append(make("h3", {}, "Curves"));
  const drawn = runPanels(run, into);
  into.append(make("h3", {}, "Samples beside their nearest training images"));
  runPictures(run, into, drawn);
  if (!run.pictures) drawn.forEach((each) => each.draw());
  into.append(make("h3", {}, "All measurements"), make("details", {}, make("summary", {}, `evaluations.csv, ${run.table.rows.length} steps`), table(run.table.header, run.table.rows, "")));
  into.append(make("h3", {}, "Config"));
  if (run.differs.length) into.append(table(["key", "value"], run.differs, "What shapes the training and differs from the defaults"));
  into.append(make("details", {}, make("summary", {}, `config.yaml, ${run.config.length} keys`), table(["key", "value"], run.config, "")));
  into.append(make("h3", {}, "Cost"), run.cost.length ? table(["what", "how much"], run.cost, "") : make("p", { className: "faint" }, "No metrics.csv."));
  into.append(make("h3", {}, "Provenance"), make("details", {}, make("summary", {}, `provenance.json, ${run.provenance.length} entries`), table(["entry", "value"], run.provenance, "")));
  if (focus) heading.focus();
}

// ---- a study -------------------------------------------------------------------------------------------------------

function showStudy(study) {
  const into = document.getElementById("figures");
  into.replaceChildren();
  const sizes = [...new Set(study.runs.map((run) => run.n))].sort((a, b) => a - b);
  const groups = [...new Set(study.runs.map((run) => run.group))];
  const times = make("div", { className: "plot tall" });
  const against = plot(times, "Times against the number of training images: " + study.times.map((each) => `${each.symbol} of ${each.group}` + (each.exponent ? ` grows as n to ${each.exponent}` : "")).join("; "), () => {
    const traces = [];
    for (const each of study.times) {
      const paint = paintOf(groups.indexOf(each.group)), name = `${each.symbol}, ${each.group}`;
      const mem = each.time === "mem";
      if (each.law) traces.push({ x: each.law.n, y: each.law.tau, mode: "lines", line: { color: paint, width: 1, dash: mem ? "solid" : "dash" }, hoverinfo: "skip", meta: name });
      traces.push({
        x: each.n, y: each.tau, mode: "markers", name: label(name), meta: name, text: each.text.map(label),
        marker: { color: paint, size: 9, symbol: each.censored.map((late) => (late ? "triangle-up-open" : mem ? "circle" : "square-open")) },
        error_y: { type: "data", symmetric: false, color: paint, thickness: 1.2, width: 3, array: each.tau.map((tau, i) => each.high[i] - tau), arrayminus: each.tau.map((tau, i) => tau - Math.max(each.low[i], tau * 1e-6)) },
        hovertemplate: "n = %{x}: %{text}<extra>" + label(name) + "</extra>",
      });
    }
    const x = { ...axis("number of training images n", true), tickvals: sizes, ticktext: sizes.map(String), dtick: undefined, minor: undefined };
    const ends = study.times.flatMap((each) => [...each.tau, ...each.low, ...each.high]).filter((value) => value > 0).map(Math.log10);
    return [traces, layout(x, { ...axis(`τ (${study.clock})`, true, study.times.flatMap((each) => each.tau)), range: [Math.min(...ends) - 0.15, Math.max(...ends) + 0.15] })];
  });
  const entries = study.times.map((each) => ({ name: `${each.symbol}, ${each.group}`, paint: paintOf(groups.indexOf(each.group)), dashed: each.time === "gen" }));
  into.append(make("div", { className: "card" }, make("h4", {}, "Times against n"), legend(entries, against.toggle), times));
  against.draw();
  for (const [column, title, log] of [["f_mem", "Share of copies, every run", false], ["quality", `${study.quality}, every run`, true]]) {
    const node = make("div", { className: "plot tall" });
    const handle = plot(node, `${title}, a curve for each of ${study.runs.length} runs against training time`, () => [
      study.runs.map((run) => {
        const here = run.x.map((_, i) => i).filter((i) => run.x[i] > 0);
        return {
          x: here.map((i) => run.x[i]), y: here.map((i) => run[column][i]), mode: "lines+markers", marker: { size: 3 }, meta: `n = ${run.n}`, customdata: here.map(() => run.run),
          line: { color: colorOfN(run.n, sizes), width: 1.4, dash: DASHES[groups.indexOf(run.group) % DASHES.length] },
          hovertemplate: `%{y:.4g} at %{x}<extra>${label(data.runs[run.run].name)}</extra>`,
        };
      }),
      layout(axis(study.clock, true), axis("", log)),
    ]);
    const marks = sizes.map((n) => ({ name: `n = ${n}`, paint: colorOfN(n, sizes) }));
    const dashes = groups.map((group, i) => `${group}: ${DASHES[i % DASHES.length]} line`).join(", ");
    into.append(make("div", { className: "card" }, make("h4", {}, title), legend(marks, handle.toggle), node, make("p", { className: "faint" }, `${dashes}; a click on a curve opens its run.`)));
    handle.draw().then(() => node.on("plotly_click", (event) => { location.hash = `run-${event.points[0].customdata}`; }));
  }
}

function route(event) {
  const found = location.hash.match(/^#run-(\d+)$/);
  const place = found && Number(found[1]) < data.runs.length ? Number(found[1]) : 0;
  if (event && !found) return;
  showRun(place, Boolean(event));
  const choice = document.getElementById("choice");
  if (choice) choice.value = String(place);
  if (event) document.getElementById("run").scrollIntoView();
}

async function loadPlotly() {
  const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  document.head.append(make("script", { text: await new Response(stream).text() }));
}

document.querySelectorAll("table.sortable").forEach(sortable);
function draw() {
  if (data.study) showStudy(data.study);
  route(null);
}

loadPlotly().then(() => {
  draw();
  window.addEventListener("hashchange", route);
  const choice = document.getElementById("choice");
  if (choice) choice.addEventListener("change", () => { location.hash = `run-${choice.value}`; });
  dark.addEventListener("change", draw);
  document.body.dataset.ready = "true";
});
