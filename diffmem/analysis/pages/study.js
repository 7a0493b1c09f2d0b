// A study: times against n, the curves of all runs, exponents by criterion, effects, phases.
const FEW = DASHES.length; // groups that lines and legends can tell apart

function showStudy(study) {
  const into = document.getElementById("figures");
  clear(into);
  const sizes = [...new Set(study.runs.map((run) => run.n))].sort((a, b) => a - b);
  const groups = [...new Set(study.runs.map((run) => run.group))];
  const rowByRow = groups.length > FEW || (groups.length > 1 && sizes.length === 1);
  if (study.times.length) (rowByRow ? groupTimesFigure : timesFigure)(study, groups, sizes, into);
  const every = data.runs.length > 1 ? "every run" : "every view";
  const time = (run) => ({ x: run.x, log: true, title: study.clock });
  curvesFigure(study, groups, sizes, into, `Share of copies, ${every}`, time, (run) => ({ y: run.f_mem, log: false, title: "f_mem" }));
  curvesFigure(study, groups, sizes, into, `${study.quality}, ${every}`, time, (run) => ({ y: run.quality, log: true, title: "" }));
  const quality = (run) => ({ x: run.quality, log: true, title: `${study.quality}, falling`, falling: true });
  curvesFigure(study, groups, sizes, into, `Novelty against quality, ${every}`, quality, (run) => ({ y: run.f_mem.map((value) => (value === null ? null : 1 - value)), log: false, title: "1 − f_mem" }), `A point is a step. Above: new. To the right: good. ${BEYOND}`);
  if (study.ladder.length && groups.length <= FEW) ladderFigure(study, groups, into);
  for (const quantity of new Set(study.effects.map((each) => each.quantity))) effectsFigure(study, quantity, sizes, into);
  if (new Set(study.phases.map((point) => point.p)).size > 1) phaseFigure(study, sizes, into);
}

function axisOfN(sizes) {
  return { ...axis("number of training images n", true), tickvals: sizes, ticktext: sizes.map(String), dtick: undefined, minor: undefined };
}

// A row for each name; the height of a figure with as many.
const rows = (names) => ({ ...axis("", false), tickvals: names.map((_, i) => i), ticktext: names.map(label), range: [names.length - 0.5, -0.5], tickfont: { size: 10 } });
const heightOf = (names, each) => 100 + names.length * Math.max(16, 9 * each);

function interval(each, paint) {
  return { type: "data", symmetric: false, color: paint, thickness: 1.2, width: 2, array: each.map(({ value, high }) => high - value), arrayminus: each.map(({ value, low }) => value - low) };
}

// Holds every time and the ends of its interval, unless they are more than a factor of 5 from all times.
function rangeOfTimes(study) {
  const times = study.times.flatMap((each) => each.tau).filter((value) => value > 0);
  const ends = study.times.flatMap((each) => [...each.low, ...each.high]).filter((value) => value > 0);
  const low = Math.max(Math.min(...ends, ...times), Math.min(...times) / 5), high = Math.min(Math.max(...ends, ...times), 5 * Math.max(...times));
  return [Math.log10(low) - 0.1, Math.log10(high) + 0.1];
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
        error_y: interval(pointsOf(each), paint(each)), hovertemplate: `n = %{x}: %{text}<extra>${label(name(each))}</extra>`,
      });
    }
    const y = axis(`τ (${study.clock})`, true, study.times.flatMap((each) => each.tau));
    return [traces, layout(axisOfN(sizes), { ...y, range: rangeOfTimes(study) })];
  }, { height: 340, note: "Circles and solid lines: τ_mem. Squares and dashes: τ_gen. Open triangles: not reached." });
}

// Each time of a series with the ends of its interval; on a logarithmic axis none reaches 0.
const pointsOf = (each) => each.tau.map((value, i) => ({ value, low: Math.max(each.low[i], value * 1e-6), high: each.high[i] }));

// Many groups: a row for each, where a legend could not tell them apart.
function groupTimesFigure(study, groups, sizes, into) {
  const entries = sizes.map((n) => ({ name: `n = ${n}`, paint: shadeOf(n, sizes) }));
  card(into, "Times of each group", entries, `τ_gen and τ_mem of ${groups.length} groups, as in the table of times`, () => {
    const traces = [];
    for (const each of study.times) sizes.forEach((n, i) => {
      const at = each.n.indexOf(n), shift = 0.5 * ((i + 0.5) / sizes.length - 0.5), mem = each.time === "mem";
      if (at < 0) return;
      traces.push({
        x: [each.tau[at]], y: [groups.indexOf(each.group) + shift], mode: "markers", meta: `n = ${n}`, text: [label(`${each.symbol}, ${each.group}: ${each.text[at]}`)],
        marker: { color: shadeOf(n, sizes), size: 8, symbol: each.censored[at] ? "triangle-right-open" : mem ? "circle" : "square-open" },
        error_x: interval([pointsOf(each)[at]], shadeOf(n, sizes)), hovertemplate: `%{text}<extra>n = ${n}</extra>`,
      });
    });
    const x = { ...axis(`τ (${study.clock})`, true, study.times.flatMap((each) => each.tau)), range: rangeOfTimes(study) };
    return [traces, layout(x, rows(groups))];
  }, { wide: true, height: heightOf(groups, sizes.length), note: "Circles: τ_mem. Squares: τ_gen. Open triangles: not reached." });
}

function curvesFigure(study, groups, sizes, into, title, across, up, note = "") {
  const few = groups.length <= FEW, byGroup = few && groups.length > 1 && sizes.length === 1;
  const nameOf = (run) => (byGroup ? run.group : `n = ${run.n}`);
  const paintOfRun = (run) => (byGroup ? paintOf(groups.indexOf(run.group)) : shadeOf(run.n, sizes));
  const entries = byGroup ? groups.map((group, i) => ({ name: group, paint: paintOf(i) })) : sizes.map((n) => ({ name: `n = ${n}`, paint: shadeOf(n, sizes) }));
  const dashes = few && groups.length > 1 && !byGroup ? groups.map((group, i) => `${group}: ${DASHES[i]}`).join(", ") + ". " : "";
  let picked = 0;
  const picker = choice("group ", ["all", ...groups], 0, (place) => { picked = place; handle.draw(); });
  const handle = card(into, title, entries, `${title}: a curve for each of ${study.runs.length} runs`, () => {
    const aside = (run) => picked > 0 && run.group !== groups[picked - 1];
    const runs = [...study.runs].sort((a, b) => aside(b) - aside(a));
    const first = across(study.runs[0]), second = up(study.runs[0]);
    return [runs.map((run) => {
      const x = across(run).x, y = up(run).y, here = x.map((_, i) => i).filter((i) => x[i] > 0);
      const paint = aside(run) ? color("--line") : paintOfRun(run);
      return {
        x: here.map((i) => x[i]), y: here.map((i) => y[i]), mode: "lines+markers", marker: { size: aside(run) ? 1 : 3 }, meta: nameOf(run), customdata: here.map(() => `run-${run.run}-${run.view}`),
        line: { color: paint, width: aside(run) ? 0.8 : 1.4, dash: few ? DASHES[groups.indexOf(run.group)] : "solid" },
        hovertemplate: `%{y:.4g} at %{x:.4g}<extra>${label(run.group)}, n = ${run.n}<br>${label(run.name)}</extra>`,
      };
    }), layout({ ...axis(first.title, first.log, study.runs.flatMap((run) => across(run).x)), ...(first.falling ? falling(study.runs.flatMap((run) => across(run).x), true) : {}) }, axis(second.title, second.log, study.runs.flatMap((run) => up(run).y)))];
  }, { height: 340, note: `${dashes}${note} A click on a curve opens its run.`, controls: groups.length > 1 ? [picker] : null, ready: (node) => node.on("plotly_click", (event) => { location.hash = event.points[0].customdata; }) });
}

function ladderFigure(study, groups, into) {
  const entries = groups.map((group, i) => ({ name: group, paint: paintOf(i) }));
  const criteria = [...new Set(study.ladder.map((rung) => rung.criterion))];
  card(into, "Exponent of a time in n, by criterion", entries, `Exponents of ${criteria.length} criteria with intervals, as in the table of exponents`, () => {
    const traces = groups.map((group, i) => {
      const rungs = study.ladder.filter((rung) => rung.group === group);
      const shift = 0.5 * ((i + 0.5) / groups.length - 0.5);
      return {
        x: rungs.map((rung) => rung.exponent), y: rungs.map((rung) => criteria.indexOf(rung.criterion) + shift), mode: "markers", meta: group, marker: { color: paintOf(i), size: 7, symbol: i },
        text: rungs.map((rung) => label(`${rung.criterion}: ${rung.text}`)), hovertemplate: "%{text}<extra>" + label(group) + "</extra>",
        error_x: interval(rungs.map((rung) => ({ value: rung.exponent, low: rung.low, high: rung.high })), paintOf(i)),
      };
    });
    return [traces, layout({ ...axis("exponent α", false), range: [-1.2, 3] }, rows(criteria), { shapes: [upright(0), upright(1)] })];
  }, { height: heightOf(criteria, groups.length), note: "Dots: τ ∝ n⁰ and τ ∝ n¹. Intervals may reach beyond the axis; the table has them." });
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
  ], { height: 340 });
}

function effectsFigure(study, quantity, sizes, into) {
  const effects = study.effects.filter((each) => each.quantity === quantity);
  const changes = [...new Set(study.effects.map((each) => each.change))];
  const entries = sizes.map((n) => ({ name: `n = ${n}`, paint: shadeOf(n, sizes) }));
  card(into, `${quantity} against the baseline's`, entries, `Ratio of ${quantity} to the baseline's for ${changes.length} changes, as in the table of effects`, () => {
    const traces = sizes.map((n, i) => {
      const found = effects.filter((each) => each.n === n), shift = 0.5 * ((i + 0.5) / sizes.length - 0.5);
      return {
        x: found.map((each) => each.value), y: found.map((each) => changes.indexOf(each.change) + shift), mode: "markers", meta: `n = ${n}`,
        marker: { color: shadeOf(n, sizes), size: 8, symbol: found.map((each) => ({ ">": "triangle-right-open", "<": "triangle-left-open" })[each.bound] ?? "circle") },
        text: found.map((each) => label(`${each.change}: ${each.text}`)), hovertemplate: `%{text}<extra>n = ${n}</extra>`, error_x: interval(found, shadeOf(n, sizes)),
      };
    });
    return [traces, layout(axis("ratio", true, effects.flatMap((each) => [each.low, each.high])), rows(changes), { shapes: [upright(1)] })];
  }, { wide: changes.length > 8, height: heightOf(changes, sizes.length), note: "Dotted: no effect; an interval that crosses it does not exclude none. Open triangles: bounds alone." });
}
