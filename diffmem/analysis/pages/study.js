// A study: times against n, and the curves of all runs.
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
