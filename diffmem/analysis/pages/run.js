// One run: curves with its times, samples beside their nearest training images, tables.
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
  const heading = make("h2", { tabIndex: -1 }, data.runs.length > 1 ? run.name : "The run");
  into.append(heading);
  into.append(make("ul", { className: "facts" }, ...run.facts.map(([key, value]) => make("li", {}, make("span", { className: "faint" }, key + " "), make("b", {}, value)))));
  into.append(make("ul", { className: "facts" }, ...run.times.map((time) => make("li", {}, make("span", { className: "faint" }, time.symbol + " "), make("b", {}, time.text)))));
  into.append(make("h3", {}, "Curves"));
  const drawn = runPanels(run, into);
  into.append(make("h3", {}, "Samples beside their nearest training images"));
  runPictures(run, into, drawn);
  if (!run.pictures) drawn.forEach((each) => each.draw());
  if (run.hits.length) {
    const hits = table(["training image", "copies at the last step", "first copied at step"], run.hits, `The ${run.hits.length} most copied`);
    into.append(make("details", {}, make("summary", {}, "Training images that were copied"), hits));
  }
  into.append(make("h3", {}, "All measurements"), make("details", {}, make("summary", {}, `evaluations.csv, ${run.table.rows.length} steps`), table(run.table.header, run.table.rows, "")));
  into.append(make("h3", {}, "Config"));
  if (run.differs.length) into.append(table(["key", "value"], run.differs, "What shapes the training and differs from the defaults"));
  into.append(make("details", {}, make("summary", {}, `config.yaml, ${run.config.length} keys`), table(["key", "value"], run.config, "")));
  into.append(make("h3", {}, "Cost"), run.cost.length ? table(["what", "how much"], run.cost, "") : make("p", { className: "faint" }, "No metrics.csv."));
  into.append(make("h3", {}, "Provenance"), make("details", {}, make("summary", {}, `provenance.json, ${run.provenance.length} entries`), table(["entry", "value"], run.provenance, "")));
  if (focus) heading.focus();
}
