// One run: curves with its times, what its views give, samples beside their nearest training images, tables.
const BEYOND = "Steps of a distance more than 300 times the least lie beyond the left edge.";
const view = { logX: true, logY: true, bands: true, times: true, step: null, quality: 0, novelty: 0 };

function paintsOf(panel) {
  const names = panel.curves.map((curve) => curve.name);
  return names.map((name, i) => (panel.ordered ? shadeOf(name, names) : paintOf(i)));
}

function runPanels(run, shown, into) {
  const drawn = [];
  const controls = make("div", { className: "controls" });
  for (const [key, text] of [["logX", "logarithmic time"], ["logY", "logarithmic values"], ["bands", "intervals"], ["times", "times as marks"]]) {
    const box = make("input", { type: "checkbox", checked: view[key] });
    box.addEventListener("change", () => { view[key] = box.checked; drawn.forEach((each) => each.draw()); });
    controls.append(make("label", {}, box, text));
  }
  const grid = make("div", { className: "panels" });
  into.append(controls, grid);
  for (const panel of shown.panels) {
    const last = panel.curves.map((curve) => `${curve.name} ends at ${short(curve.y.at(-1))}`).join(", ");
    const entries = panel.curves.map((curve, i) => ({ name: curve.name, paint: paintsOf(panel)[i], dashed: curve.dashed }));
    drawn.push(card(grid, panel.title, entries, `${panel.title} against training time: ${last}`, () => panelPlot(run, shown, panel)));
  }
  if (shown.tradeoff.quality.length && shown.tradeoff.novelty.length) drawn.push(tradeoffCard(shown, grid));
  return drawn;
}

function panelPlot(run, shown, panel) {
  const traces = [], paints = paintsOf(panel);
  const here = panel.x.map((x, at) => at).filter((at) => !view.logX || panel.x[at] > 0);
  const pick = (values) => here.map((at) => values[at]);
  panel.curves.forEach((curve, i) => {
    const paint = paints[i];
    if (view.bands && curve.low) {
      const inside = here.filter((at) => curve.low[at] !== null && curve.high[at] !== null); // a gap would cut the band in two
      const there = (values) => inside.map((at) => values[at]);
      traces.push({
        x: [...there(panel.x), ...there(panel.x).reverse()], y: [...there(curve.high), ...there(curve.low).reverse()],
        fill: "toself", fillcolor: faded(paint, 0.18), line: { width: 0 }, mode: "lines", hoverinfo: "skip", meta: curve.name,
      });
    }
    const interval = curve.low ? here.map((at) => ` [${short(curve.low[at])}, ${short(curve.high[at])}]`) : here.map(() => "");
    traces.push({
      x: pick(panel.x), y: pick(curve.y), mode: "lines+markers", marker: { size: 4 }, name: label(curve.name), meta: curve.name,
      line: { color: paint, width: 1.6, dash: curve.dashed ? "dash" : "solid" }, connectgaps: true,
      text: interval, hovertemplate: "%{y:.4g}%{text} at %{x}<extra>" + label(curve.name) + "</extra>",
    });
  });
  const { shapes, annotations } = marks(run, shown, pick(panel.x)[0]);
  const values = panel.curves.flatMap((curve) => curve.y);
  const margin = { l: 52, r: 10, t: 42, b: 38 };
  return [traces, layout(axis(run.clock, view.logX, panel.x), axis("", view.logY && panel.log && spans(values), values), { shapes, annotations, margin })];
}

// The run's times with their intervals, and the step that the slider shows; first is where the axis begins.
function marks(run, shown, first) {
  const shapes = [], annotations = [];
  if (view.times) shown.times.filter((time) => time.value !== null).forEach((time, place) => {
    const paint = paintOf(MARKS[time.symbol]);
    const low = view.logX && time.low <= 0 ? first : time.low;
    shapes.push({ type: "rect", yref: "paper", y0: 0, y1: 1, x0: low, x1: time.high, fillcolor: faded(paint, 0.12), line: { width: 0 }, layer: "below" });
    shapes.push(upright(time.value, { color: paint, width: 1.5, dash: time.censored ? "dot" : "solid" }));
    annotations.push({ text: (time.censored ? "&gt; " : "") + time.symbol, x: view.logX ? Math.log10(time.value) : time.value, y: 1, yref: "paper", yanchor: "bottom", yshift: 11 * place - 3, showarrow: false, font: { size: 10, color: color("--text") } });
  });
  if (view.step !== null && run.clock === "updates" && (view.step > 0 || !view.logX)) shapes.push(upright(view.step, { color: color("--faint"), width: 1, dash: "dash" }));
  return { shapes, annotations };
}

// An axis of a distance that falls to the right, without the first steps, whose samples are far from everything.
function falling(values, log) {
  const positive = values.filter((value) => value > 0);
  if (!log || !positive.length) return { autorange: "reversed" };
  const [low, high] = [Math.min(...positive), Math.max(...positive)];
  return { range: [Math.log10(Math.min(high, 300 * low)) + 0.1, Math.log10(low) - 0.1] };
}

// Novelty against quality, a point for each step: where samples are good and new at once.
function tradeoffCard(shown, into) {
  const { step, quality, novelty } = shown.tradeoff;
  const of = (measures, chosen) => measures[Math.min(chosen, measures.length - 1)];
  const controls = [];
  for (const [key, text, measures] of [["novelty", "up ", novelty], ["quality", "across ", quality]]) {
    if (measures.length > 1) controls.push(choice(text, measures.map((each) => each.name), Math.min(view[key], measures.length - 1), (place) => { view[key] = place; handle.draw(); }));
  }
  const handle = card(into, "Novelty against quality", [], `${novelty[0].name} against ${quality[0].name}, a point for each of ${step.length} steps, as in the table of all measurements`, () => {
    const across = of(quality, view.quality), up = of(novelty, view.novelty);
    const paints = step.map((_, i) => shade(step.length > 1 ? i / (step.length - 1) : 0));
    const now = step.map((each) => each === view.step);
    const log = across.lower && across.y.every((value) => value === null || value > 0) && spans(across.y);
    return [[{
      x: across.y, y: up.y, mode: "lines+markers", line: { color: color("--line"), width: 1 }, text: step,
      marker: { size: now.map((here) => (here ? 14 : 8)), color: paints, line: { color: color("--text"), width: now.map((here) => (here ? 2 : 0)) } },
      hovertemplate: `step %{text}: ${label(up.name)} %{y:.3g}, ${label(across.name)} %{x:.4g}<extra></extra>`,
    }], layout({ ...axis(across.name + (across.lower ? ", falling" : ""), log, across.y), ...(across.lower ? falling(across.y, log) : {}) }, axis(up.name, false))];
  }, { controls, note: `A point is a step, lighter the later; ringed: the step of the slider. Above: new. To the right: good. ${BEYOND}` });
  return handle;
}

function tile(sheet, place, columns, count) {
  const node = make("span", { className: "tile" });
  node.style.backgroundImage = `url("${sheet}")`;
  node.style.backgroundSize = `${columns * 48}px ${Math.ceil(count / columns) * 48}px`;
  node.style.backgroundPosition = `-${(place % columns) * 48}px -${Math.floor(place / columns) * 48}px`;
  return node;
}

function picture(about, tiles, ...caption) {
  const image = make("div", { role: "img", "aria-label": about, title: about }, ...tiles);
  return make("figure", { className: "pair" }, image, make("figcaption", {}, ...caption));
}

function runPictures(shown, into, moved) {
  const album = shown.pictures;
  if (!album || !album.steps.length) {
    const why = album ? `The pictures of ${album.left_out} steps are left out to keep the page small: make a page of this run alone.`
      : "This run kept no pictures (pictures.num_samples is null, or its data are not images).";
    into.append(make("p", { className: "faint" }, why));
    return;
  }
  const slider = make("input", { type: "range", min: 0, max: album.steps.length - 1, value: album.steps.length - 1, id: "step" });
  const sort = make("input", { type: "checkbox", id: "by-ratio" });
  const says = make("output", { htmlFor: "step" });
  const pairs = make("div", { className: "pairs" });
  const hits = make("div", { className: "pairs" });
  const hitsTitle = make("p", { className: "faint" });
  into.append(
    make("div", { className: "controls" }, make("label", {}, "step ", slider), says, make("label", {}, sort, "sort by distance ratio")),
    make("p", { className: "faint" }, `Each pair: a sample, then its nearest training image; below, the ratio of the distances to the nearest and second nearest. Framed: a copy (ratio below ${short(album.threshold)}).`
      + (album.left_out ? ` Pictures of ${album.left_out} steps are left out to keep the page small.` : "")),
    pairs,
  );
  const below = make("div", { className: "panels" });
  into.append(below);
  const entries = [{ name: "training images", paint: paintOf(1) }, { name: "held-out images", paint: paintOf(0) }];
  const graph = card(below, "Distance ratios at this step", entries, "Histogram of the distance ratios of the samples to training images, and of the same to held-out images", () => {
    const step = album.steps[slider.value];
    const centers = album.edges.slice(1).map((edge, i) => (edge + album.edges[i]) / 2);
    const width = centers.map(() => album.edges[1]);
    const bars = (y, name, paint, shape) => ({
      type: "bar", x: centers, y, width, name, meta: name, hovertemplate: "%{y:.1%} at %{x:.2f}<extra>" + name + "</extra>",
      marker: { color: faded(paint, shape ? 0.2 : 0.6), pattern: { shape, fgcolor: paint, size: 6, fillmode: "overlay" }, line: { color: paint, width: 1 } },
    });
    const traces = [bars(step.share, "training images", paintOf(1), "")];
    if (step.null) traces.push(bars(step.null, "held-out images", paintOf(0), "/"));
    const line = upright(album.threshold, { color: color("--text"), width: 1.2, dash: "dot" });
    return [traces, layout({ ...axis("nearest / second nearest distance", false), range: [0, 1] }, { ...axis("share of samples", false), tickformat: ".0%" }, { barmode: "overlay", shapes: [line] })];
  }, { note: "Left of the dotted line: copies. Held-out images (hatched): what the threshold gives by chance." });
  below.append(make("div", { className: "card" }, make("h4", {}, "Training images copied at this step"), hitsTitle, hits));
  function draw() {
    const step = album.steps[slider.value], copies = new Set(step.copies);
    view.step = step.step;
    says.textContent = `step ${step.step}: ${step.num_copies} of ${step.num_samples} samples are copies, of ${step.num_copied} training images`;
    slider.setAttribute("aria-valuetext", says.textContent);
    const places = step.ratio.map((_, i) => i);
    if (sort.checked) places.sort((a, b) => step.ratio[a] - step.ratio[b]);
    pairs.replaceChildren(...places.map((i) => {
      const row = step.nearest[i], copied = copies.has(i);
      const about = `sample ${i}${copied ? ", a copy" : ""}: nearest training image ${row} at distance ${short(step.distance[i])}, ratio ${step.ratio[i].toFixed(2)}`;
      const tiles = [tile(step.sheet, i, album.columns, step.ratio.length), tile(album.training, album.places[row], album.columns, album.num_places)];
      const pair = picture(about, tiles, step.ratio[i].toFixed(2));
      if (copied) pair.classList.add("copy");
      return pair;
    }));
    if (!step.ratio.length) pairs.append(make("p", { className: "faint" }, "The pictures of this step are left out."));
    const more = step.num_copied > step.hits.length ? `, the ${step.hits.length} most copied of ${step.num_copied}` : "";
    hitsTitle.textContent = step.hits.length ? `Below each${more}: how many samples copy it, and the first step with a copy of it.` : "None.";
    hits.replaceChildren(...step.hits.map(([row, count]) => {
      const about = `training image ${row}: ${count} copies at this step, first copied at step ${album.first[row]}`;
      const tiles = row in album.places ? [tile(album.training, album.places[row], album.columns, album.num_places)] : [`image ${row}`];
      return picture(about, tiles, `${count} ×`, make("br"), `from ${album.first[row]}`);
    }));
    graph.drawSoon();
    moved.forEach((each) => each.drawSoon());
  }
  slider.addEventListener("input", draw);
  sort.addEventListener("change", draw);
  draw();
}

const viewName = (each) => each.name || "default";

// The views of a run side by side: their times, and f_mem and quality on one axis.
function runViews(run, place, into) {
  const ends = Object.keys(run.views[0].ends), facts = run.views[0].facts.map(([key]) => key);
  const rows = run.views.map((each) => [viewName(each), ...facts.map((key) => Object.fromEntries(each.facts)[key] ?? ""), ...each.times.map((time) => time.text), ...ends.map((key) => each.ends[key] ?? "")]);
  into.append(make("h3", {}, "Views of this training"), table(["view", ...facts, ...run.views[0].times.map((time) => time.symbol), ...ends], rows, "The same weights, looked at in several ways; a link shows the view below", run.views.map((_, i) => `#run-${place}-${i}`)));
  const grid = make("div", { className: "panels" });
  into.append(grid);
  const entries = run.views.map((each, i) => ({ name: viewName(each), paint: paintOf(i) }));
  for (const title of run.views[0].panels.map((panel) => panel.title).slice(0, 2)) {
    const panels = run.views.map((each) => each.panels.find((panel) => panel.title === title));
    const name = panels[0].curves[0].name;
    card(grid, `${title} in each view`, entries, `${name} against training time in ${run.views.length} views`, () => {
      const traces = panels.map((panel, i) => {
        const curve = panel && panel.curves.find((each) => each.name === name);
        const here = curve ? panel.x.map((_, at) => at).filter((at) => panel.x[at] > 0) : [];
        return { x: here.map((at) => panel.x[at]), y: here.map((at) => curve.y[at]), mode: "lines+markers", marker: { size: 4, symbol: i }, line: { color: paintOf(i), width: 1.6, dash: DASHES[i % DASHES.length] }, meta: viewName(run.views[i]), hovertemplate: `%{y:.4g} at %{x}<extra>${label(viewName(run.views[i]))}</extra>` };
      });
      return [traces, layout(axis(run.clock, true, panels[0].x), axis(name, panels[0].log, panels[0].curves[0].y))];
    });
  }
}

function facts(pairs) {
  return make("ul", { className: "facts" }, ...pairs.map(([key, value]) => make("li", {}, make("span", { className: "faint" }, key + " "), make("b", {}, value))));
}

function folded(title, ...inside) {
  return make("details", {}, make("summary", {}, title), ...inside);
}

function showRun(place, chosen, focus) {
  const run = data.runs[place], into = document.getElementById("run"), shown = run.views[chosen];
  view.step = null;
  clear(into);
  const heading = make("h2", { tabIndex: -1 }, data.runs.length > 1 ? run.name : "The run");
  into.append(heading, facts(run.facts.filter(([key]) => !shown.facts.some(([name]) => name === key))));
  if (run.views.length > 1) {
    runViews(run, place, into);
    const picker = choice("view ", run.views.map(viewName), chosen, (to) => { location.hash = `run-${place}-${to}`; });
    into.append(make("h3", { id: "view" }, `View: ${viewName(shown)}`), make("div", { className: "controls" }, picker));
  }
  into.append(facts(shown.facts), facts([...shown.times.map((time) => [time.symbol, time.text]), ...Object.entries(shown.ends)]));
  if (shown.times.some((time) => time.value === null)) into.append(make("p", { className: "faint" }, "–: no such time in this run. τ_gen of one run alone needs a level: --quality-level."));
  into.append(make("h3", {}, "Curves"));
  const drawn = runPanels(run, shown, into);
  into.append(make("h3", {}, "Samples beside their nearest training images"));
  runPictures(shown, into, drawn);
  if (shown.hits.length) into.append(folded(`Training images that were copied, ${shown.hits.length}`, table(["training image", "copies at the last step", "first copied at step"], shown.hits, "Most copied first")));
  into.append(make("h3", {}, "All measurements"), folded(`evaluations.csv, ${shown.table.rows.length} steps`, table(shown.table.header, shown.table.rows, "One row for each step")));
  into.append(make("h3", {}, "Config"));
  if (run.differs.length) into.append(table(["key", "value"], run.differs, "What shapes the training and differs from the defaults"));
  into.append(listed("config.yaml", "key", run.config));
  into.append(make("h3", {}, "Cost"), run.cost.length ? table(["what", "how much"], run.cost, "What the run took") : make("p", { className: "faint" }, "No metrics.csv."));
  into.append(make("h3", {}, "Provenance"), listed("provenance.json", "entry", run.provenance));
  if (focus) heading.focus({ preventScroll: true });
}

function listed(file, what, rows) {
  return rows.length ? folded(`${file}, ${rows.length} entries`, table([what, "value"], rows, file)) : make("p", { className: "faint" }, `No ${file}.`);
}
