// A study: times against n, the curves of all runs, exponents by criterion, phases.
function showStudy(study) {
  const into = document.getElementById("figures");
  into.replaceChildren();
  const sizes = [...new Set(study.runs.map((run) => run.n))].sort((a, b) => a - b);
  const groups = [...new Set(study.runs.map((run) => run.group))];
  if (study.times.length) timesFigure(study, groups, sizes, into);
  curvesFigure(study, groups, sizes, into, "f_mem", "Share of copies, every run", false);
  curvesFigure(study, groups, sizes, into, "quality", `${study.quality}, every run`, true);
  if (study.ladder.length) ladderFigure(study, groups, into);
  for (const quantity of new Set(study.effects.map((each) => each.quantity))) effectsFigure(study, quantity, sizes, into);
  if (new Set(study.phases.map((point) => point.p)).size > 1) phaseFigure(study, sizes, into);
}

function card(into, title, entries, description, build, note) {
  const node = make("div", { className: "plot tall" });
  const handle = plot(node, description, build);
  into.append(make("div", { className: "card" }, make("h4", {}, title), legend(entries, handle.toggle), node, ...(note ? [make("p", { className: "faint" }, note)] : [])));
  return handle.draw().then(() => node);
}

function axisOfN(sizes) {
  return { ...axis("number of training images n", true), tickvals: sizes, ticktext: sizes.map(String), dtick: undefined, minor: undefined };
}

function timesFigure(study, groups, sizes, into) {
  const paint = (each) => paintOf(groups.indexOf(each.group)), name = (each) => `${each.symbol}, ${each.group}`;
  const says = study.times.map((each) => `${each.symbol} of ${each.group}` + (each.exponent ? ` grows as n to ${each.exponent}` : "")).join("; ");
  const entries = study.times.map((each) => ({ name: name(each), paint: paint(each), dashed: each.time === "gen" }));
  card(into, "Times against n", entries, `Times against the number of training images: ${says}`, () => {
    const traces = [];
    for (const each of study.times) {
      const mem = each.time === "mem";
      if (each.law) traces.push({ x: each.law.n, y: each.law.tau, mode: "lines", line: { color: paint(each), width: 1, dash: mem ? "solid" : "dash" }, hoverinfo: "skip", meta: name(each) });
      traces.push({
        x: each.n, y: each.tau, mode: "markers", name: label(name(each)), meta: name(each), text: each.text.map(label),
        marker: { color: paint(each), size: 9, symbol: each.censored.map((late) => (late ? "triangle-up-open" : mem ? "circle" : "square-open")) },
        error_y: { type: "data", symmetric: false, color: paint(each), thickness: 1.2, width: 3, array: each.tau.map((tau, i) => each.high[i] - tau), arrayminus: each.tau.map((tau, i) => tau - Math.max(each.low[i], tau * 1e-6)) },
        hovertemplate: `n = %{x}: %{text}<extra>${label(name(each))}</extra>`,
      });
    }
    const ends = study.times.flatMap((each) => [...each.tau, ...each.low, ...each.high]).filter((value) => value > 0).map(Math.log10);
    const y = axis(`τ (${study.clock})`, true, study.times.flatMap((each) => each.tau));
    return [traces, layout(axisOfN(sizes), { ...y, range: [Math.min(...ends) - 0.15, Math.max(...ends) + 0.15] })];
  }, "Circles and solid lines: τ_mem. Squares and dashes: τ_gen. Open triangles: not reached.");
}

function curvesFigure(study, groups, sizes, into, column, title, log) {
  const entries = sizes.map((n) => ({ name: `n = ${n}`, paint: colorOfN(n, sizes) }));
  const dashes = groups.map((group, i) => `${group}: ${DASHES[i % DASHES.length]}`).join(", ");
  card(into, title, entries, `${title}: a curve for each of ${study.runs.length} runs against training time`, () => [
    study.runs.map((run) => {
      const here = run.x.map((_, i) => i).filter((i) => run.x[i] > 0);
      return {
        x: here.map((i) => run.x[i]), y: here.map((i) => run[column][i]), mode: "lines+markers", marker: { size: 3 }, meta: `n = ${run.n}`, customdata: here.map(() => run.run),
        line: { color: colorOfN(run.n, sizes), width: 1.4, dash: DASHES[groups.indexOf(run.group) % DASHES.length] },
        hovertemplate: `%{y:.4g} at %{x}<extra>${label(data.runs[run.run].name)}</extra>`,
      };
    }),
    layout(axis(study.clock, true), axis("", log)),
  ], `${dashes}. A click on a curve opens its run.`).then((node) => node.on("plotly_click", (event) => { location.hash = `run-${event.points[0].customdata}`; }));
}

function ladderFigure(study, groups, into) {
  const entries = groups.map((group, i) => ({ name: group, paint: paintOf(i) }));
  const criteria = [...new Set(study.ladder.map((rung) => rung.criterion))];
  card(into, "Exponent of a time in n, by criterion", entries, `Exponents of ${criteria.length} criteria with intervals, as in the table of exponents`, () => {
    const traces = groups.map((group, i) => {
      const rungs = study.ladder.filter((rung) => rung.group === group);
      const shift = 0.3 * (i / Math.max(groups.length - 1, 1) - 0.5);
      return {
        x: rungs.map((rung) => rung.exponent), y: rungs.map((rung) => criteria.indexOf(rung.criterion) + shift), mode: "markers", meta: group, marker: { color: paintOf(i), size: 7 },
        text: rungs.map((rung) => label(`${rung.criterion}: ${rung.text}`)), hovertemplate: "%{text}<extra>" + label(group) + "</extra>",
        error_x: { type: "data", symmetric: false, color: paintOf(i), thickness: 1.2, width: 2, array: rungs.map((rung) => rung.high - rung.exponent), arrayminus: rungs.map((rung) => rung.exponent - rung.low) },
      };
    });
    const line = (x) => ({ type: "line", yref: "paper", y0: 0, y1: 1, x0: x, x1: x, line: { color: color("--faint"), width: 1, dash: "dot" } });
    const y = { ...axis("", false), tickvals: criteria.map((_, i) => i), ticktext: criteria.map(label), range: [criteria.length - 0.5, -0.5], tickfont: { size: 9 } };
    return [traces, layout({ ...axis("exponent α", false), range: [-1.2, 3] }, y, { shapes: [line(0), line(1)] })];
  }, "Dots: τ ∝ n⁰ and τ ∝ n¹. Intervals may reach beyond the axis; the table has them.");
}

function phaseFigure(study, sizes, into) {
  const phases = [...new Set(study.phases.map((point) => point.phase))], symbols = ["circle", "square", "diamond", "x"];
  const entries = phases.map((phase, i) => ({ name: phase, paint: paintOf(i) }));
  card(into, "What keeps a model from copying", entries, "Phase of each model over n and its number of parameters, as in the table of phases", () => [
    phases.map((phase, i) => {
      const points = study.phases.filter((point) => point.phase === phase);
      return {
        x: points.map((point) => point.n), y: points.map((point) => point.p), mode: "markers", meta: phase, marker: { color: paintOf(i), size: 11, symbol: symbols[i % symbols.length] },
        text: points.map((point) => label(point.group)), hovertemplate: `%{text}: n = %{x}, p = %{y}<extra>${label(phase)}</extra>`,
      };
    }),
    layout(axisOfN(sizes), axis("number of parameters p", true)),
  ]);
}

function effectsFigure(study, quantity, sizes, into) {
  const effects = study.effects.filter((each) => each.quantity === quantity);
  const changes = [...new Set(effects.map((each) => each.change))];
  const entries = sizes.map((n) => ({ name: `n = ${n}`, paint: colorOfN(n, sizes) }));
  card(into, `${quantity} against the baseline's`, entries, `Ratio of ${quantity} to the baseline's for ${changes.length} changes, as in the table of effects`, () => {
    const traces = sizes.map((n, i) => {
      const found = effects.filter((each) => each.n === n), shift = 0.4 * ((i + 0.5) / sizes.length - 0.5);
      return {
        x: found.map((each) => each.value), y: found.map((each) => changes.indexOf(each.change) + shift), mode: "markers", meta: `n = ${n}`, marker: { color: colorOfN(n, sizes), size: 7 },
        text: found.map((each) => label(`${each.change}: ${each.text}`)), hovertemplate: `%{text}<extra>n = ${n}</extra>`,
        error_x: { type: "data", symmetric: false, color: colorOfN(n, sizes), thickness: 1.2, width: 2, array: found.map((each) => each.high - each.value), arrayminus: found.map((each) => each.value - each.low) },
      };
    });
    const one = { type: "line", yref: "paper", y0: 0, y1: 1, x0: 1, x1: 1, line: { color: color("--faint"), width: 1, dash: "dot" } };
    const y = { ...axis("", false), tickvals: changes.map((_, i) => i), ticktext: changes.map(label), range: [changes.length - 0.5, -0.5], tickfont: { size: 9 } };
    return [traces, layout(axis("ratio", true, effects.flatMap((each) => [each.low, each.high])), y, { shapes: [one] })];
  });
}
